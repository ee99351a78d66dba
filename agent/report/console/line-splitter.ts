/**
 * Splits the test's output into blocks of whole lines, without a copy, and the line that is still open, of which only a bounded part is
 * kept.
 */

const LINE_END = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export interface LineSplitterOptions {
  /** What is kept of an open line. */
  lineMaxBytes: number;
  /** Gets whole lines with their line ends; with `droppedBytes`, which were not kept, a single line. */
  onLines: (block: Buffer, droppedBytes: number) => void;
}

export class LineSplitter {
  readonly #options: LineSplitterOptions;
  #pieces: Buffer[] = [];
  #keptBytes = 0;
  #droppedBytes = 0;

  constructor(options: LineSplitterOptions) {
    this.#options = options;
  }

  /** The kept part of the line that has no end yet. */
  get open(): Buffer {
    if (this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0] ?? Buffer.alloc(0);
  }

  write(chunk: Buffer): void {
    let from = 0;
    if (this.#keptBytes > 0) {
      const end = chunk.indexOf(LINE_END);
      this.#keep(end === -1 ? chunk : chunk.subarray(0, end));
      if (end === -1) return;
      this.#endLine();
      from = end + 1;
    }
    const until = chunk.lastIndexOf(LINE_END) + 1;
    if (until > from) this.#options.onLines(chunk.subarray(from, until), 0);
    this.#keep(chunk.subarray(Math.max(from, until)));
  }

  /** Ends the open line. */
  end(): void {
    if (this.#keptBytes > 0) this.#endLine();
  }

  #keep(bytes: Buffer): void {
    if (bytes.length === 0) return;
    const { lineMaxBytes } = this.#options;
    const room = lineMaxBytes - this.#keptBytes;
    if (bytes.length <= room) {
      // A copy: the chunk that it is part of is some hundred times as large.
      this.#pieces.push(Buffer.from(bytes));
      this.#keptBytes += bytes.length;
      return;
    }
    // Earlier states of a progress bar are overwritten.
    const state = bytes.lastIndexOf(CARRIAGE_RETURN, -2) + 1;
    if (state > 0) {
      this.#pieces = [];
      this.#keptBytes = this.#droppedBytes = 0;
      const isLong = bytes.length - state > lineMaxBytes;
      this.#keep(isLong ? bytes.subarray(state, state + lineMaxBytes) : bytes.subarray(state));
      return;
    }
    if (room > 0) this.#pieces.push(Buffer.from(bytes.subarray(0, room)));
    this.#keptBytes += Math.max(0, room);
    this.#droppedBytes += bytes.length - Math.max(0, room);
  }

  #endLine(): void {
    const line = Buffer.concat([...this.#pieces, Buffer.of(LINE_END)]);
    const dropped = this.#droppedBytes;
    this.#pieces = [];
    this.#keptBytes = this.#droppedBytes = 0;
    this.#options.onLines(line, dropped);
  }
}
