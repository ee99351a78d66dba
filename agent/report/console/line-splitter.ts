/**
 * Cuts the test's output into lines once, for whoever shows or sends lines: blocks of whole lines as they came, without a
 * copy, and the one line that is still open, of which only a beginning is held however long it gets.
 */

export interface LineSplitter {
  write(chunk: Buffer): void;
  /** The beginning of the line that has no end yet; empty where the last line is whole. */
  readonly open: Buffer;
  /** The output is over: an open line is whole now. */
  end(): void;
}

export interface LineSplitterOptions {
  /** Of an open line, what is held. */
  lineMaxBytes: number;
  /** Whole lines, each with its line end. `droppedBytes` were not held; the block is one line then. */
  onLines: (block: Buffer, droppedBytes: number) => void;
}

const LINE_END = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export function createLineSplitter({ lineMaxBytes, onLines }: LineSplitterOptions): LineSplitter {
  let pieces: Buffer[] = [];
  let heldBytes = 0;
  let droppedBytes = 0;

  const hold = (bytes: Buffer) => {
    if (bytes.length === 0) return;
    const room = lineMaxBytes - heldBytes;
    if (bytes.length <= room) {
      // A copy: the chunk it came in is some hundred times as large.
      pieces.push(Buffer.from(bytes));
      heldBytes += bytes.length;
      return;
    }
    const state = bytes.lastIndexOf(CARRIAGE_RETURN, -2) + 1;
    if (state > 0) {
      // A progress bar's states up to here are overwritten.
      pieces = [];
      heldBytes = droppedBytes = 0;
      return hold(
        bytes.length - state > lineMaxBytes
          ? bytes.subarray(state, state + lineMaxBytes)
          : bytes.subarray(state),
      );
    }
    if (room > 0) pieces.push(Buffer.from(bytes.subarray(0, room)));
    heldBytes += Math.max(0, room);
    droppedBytes += bytes.length - Math.max(0, room);
  };
  const endLine = () => {
    const line = Buffer.concat([...pieces, Buffer.of(LINE_END)]);
    const dropped = droppedBytes;
    pieces = [];
    heldBytes = droppedBytes = 0;
    onLines(line, dropped);
  };

  return {
    get open() {
      if (pieces.length > 1) pieces = [Buffer.concat(pieces)];
      return pieces[0] ?? Buffer.alloc(0);
    },
    write(chunk) {
      let from = 0;
      if (heldBytes > 0) {
        const end = chunk.indexOf(LINE_END);
        hold(end === -1 ? chunk : chunk.subarray(0, end));
        if (end === -1) return;
        endLine();
        from = end + 1;
      }
      const until = chunk.lastIndexOf(LINE_END) + 1;
      if (until > from) onLines(chunk.subarray(from, until), 0);
      hold(chunk.subarray(Math.max(from, until)));
    },
    end() {
      if (heldBytes > 0) endLine();
    },
  };
}
