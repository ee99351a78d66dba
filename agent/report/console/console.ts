/**
 * The DUT's consoles: the agent's lines and the test's live output, each console with a queue of its own. A UART carries 11 KB/s and
 * nothing waits for it: lines that exceed its rate are elided and counted. The log file has everything.
 */
import {
  CONSOLE_HISTORY_BYTES,
  CONSOLE_LINE_MAX_BYTES,
  CONSOLE_OPEN_LINE_MS,
  CONSOLE_STATE_MS,
} from "../limits.ts";
import { formatAgentLine } from "./agent-line.ts";
import type { ConsoleDevice } from "./device.ts";
import { ConsoleQueue } from "./queue.ts";
import { isOverwritten } from "./sanitize-line.ts";

export interface ConsoleOptions {
  readUptimeMs: () => number;
  /** A console failed; the others go on. */
  onGone?: (name: string, error: Error) => void;
  openLineMs?: number;
  stateMs?: number;
  queueMs?: number;
  stuckMs?: number;
}

/** The part that output goes through. */
export type Console = Pick<ConsoleSet, "line" | "output" | "beginOutput" | "endOutput" | "flush">;

export class ConsoleSet {
  readonly #options: ConsoleOptions;
  readonly #splitter: LineSplitter;
  #queues: ConsoleQueue[] = [];
  #hasColor = true;
  #isInteractive = false;
  /** The agent's first lines, for consoles that appear later. */
  readonly #history: string[] = [];
  #historyBytes = 0;
  #openTimer: NodeJS.Timeout | undefined;
  #nextStateAt = 0;

  constructor(devices: readonly ConsoleDevice[], options: ConsoleOptions) {
    this.#options = options;
    this.#splitter = new LineSplitter({
      lineMaxBytes: CONSOLE_LINE_MAX_BYTES,
      onLines: (block, droppedBytes) => {
        for (const queue of this.#queues) queue.lines(block, droppedBytes);
      },
    });
    for (const device of devices) this.add(device);
  }

  /** Of the consoles that still work. */
  get names(): readonly string[] {
    return this.#queues.map(({ name }) => name);
  }

  /** `isBack`: the console had the agent's first lines before it went away. */
  add(device: ConsoleDevice, { isBack = false } = {}): void {
    const { readUptimeMs, queueMs, stuckMs, onGone } = this.#options;
    const queue = new ConsoleQueue(device, {
      hasColor: this.#hasColor,
      queueMs,
      stuckMs,
      formatNote: (text) => formatAgentLine(text, readUptimeMs()),
      onGone: (error) => {
        this.#queues = this.#queues.filter((each) => each !== queue);
        device.close();
        onGone?.(device.name, error);
      },
    });
    if (!isBack) for (const text of this.#history) queue.line(text);
    this.#queues.push(queue);
  }

  /** Whether the test's colours are shown. */
  setColor(hasColor: boolean): void {
    this.#hasColor = hasColor;
    for (const queue of this.#queues) queue.hasColor = hasColor;
  }

  /** False when there is no such console. */
  setRate(name: string, bytesPerSecond: number): boolean {
    const queue = this.#queues.find((each) => each.name === name);
    queue?.setRate(bytesPerSecond);
    return queue !== undefined;
  }

  /** A line of the agent, never elided; a line end is added. */
  line(text: string): void {
    if (this.#historyBytes < CONSOLE_HISTORY_BYTES) {
      this.#history.push(text);
      this.#historyBytes += text.length;
    }
    for (const queue of this.#queues) queue.line(text);
  }

  /** The test's output in chunks of any size. */
  output(chunk: Buffer): void {
    if (this.#isInteractive) {
      for (const queue of this.#queues) queue.raw(chunk);
      return;
    }
    this.#splitter.write(chunk);
    if (this.#splitter.open.length === 0) this.#stopOpenTimer();
    else {
      const { openLineMs = CONSOLE_OPEN_LINE_MS } = this.#options;
      const delayMs = Math.max(openLineMs, this.#nextStateAt - performance.now());
      this.#openTimer ??= setTimeout(() => this.#showOpenLine(), delayMs);
    }
  }

  /** A step begins; `isInteractive`: a user at the console gets bytes as they come. */
  beginOutput({ isInteractive }: { isInteractive: boolean }): void {
    this.#isInteractive = isInteractive;
  }

  /** The step is over: its last lines are shown, whatever was elided before them. */
  endOutput(): void {
    this.#stopOpenTimer();
    this.#nextStateAt = 0;
    this.#splitter.end();
    this.#isInteractive = false;
    for (const queue of this.#queues) queue.endOutput();
  }

  /** Resolves when everything queued has been sent, or cannot be. */
  async flush(): Promise<void> {
    await Promise.all(this.#queues.map((queue) => queue.flush()));
  }

  #showOpenLine(): void {
    this.#openTimer = undefined;
    const { open } = this.#splitter;
    if (open.length === 0) return;
    if (isOverwritten(open))
      this.#nextStateAt = performance.now() + (this.#options.stateMs ?? CONSOLE_STATE_MS);
    for (const queue of this.#queues) queue.openLine(open);
  }

  #stopOpenTimer(): void {
    clearTimeout(this.#openTimer);
    this.#openTimer = undefined;
  }
}

/**
 * Splits the test's output into blocks of whole lines, without a copy, and the line that is still open, of which only a bounded part is
 * kept.
 */

const LINE_END = 0x0a;
const CARRIAGE_RETURN = 0x0d;

interface LineSplitterOptions {
  /** What is kept of an open line. */
  lineMaxBytes: number;
  /** Gets whole lines with their line ends; with `droppedBytes`, which were not kept, a single line. */
  onLines: (block: Buffer, droppedBytes: number) => void;
}

class LineSplitter {
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
