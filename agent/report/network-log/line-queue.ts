/**
 * The log as numbered lines, from the boot's first one on. A bounded queue keeps them until the reader has them and drops the oldest
 * first; dropped lines are counted, and the numbers show the gap.
 */
import type { LinePart, NumberedLine } from "../../wire/numbered-line.ts";
import type { LineOrigin } from "../../wire/syslog.ts";
import { NETWORK_LOG_LINE_BYTES, NETWORK_LOG_OPEN_LINE_MS, NETWORK_LOG_QUEUE_BYTES } from "../limits.ts";

export interface LogLine extends NumberedLine {
  origin: LineOrigin;
}

/** What a transport reads lines from, one transport at a time. */
export interface LineSource {
  /** At least one line and about `maxBytes`; undefined at the end of the log, or when `signal` aborts. */
  next(options: { maxBytes: number; signal?: AbortSignal }): Promise<LogLine[] | undefined>;
  /** The reader has all lines up to this number. */
  acknowledge(number: number): void;
}

export interface LineRange {
  count: number;
  from: number;
  to: number;
}

export interface LineQueueOptions {
  boot: string;
  readUptimeMs: () => number;
  queueBytes?: number;
  lineBytes?: number;
  openLineMs?: number;
}

const LINE_END = 0x0a;
/** What an entry costs beside its text. */
const ENTRY_BYTES = 160;
/** Removed entries at the front of the array before it is compacted. */
const COMPACT_AT = 4096;

export class LineQueue implements LineSource {
  readonly #boot: string;
  readonly #readUptimeMs: () => number;
  readonly #queueBytes: number;
  readonly #lineBytes: number;
  /** How long the test's line may stay open before the part that has come is passed on. */
  #openLineMs: number;
  // Numbers are consecutive: line n is the entry at n - firstNumber + head.
  #entries: LogLine[] = [];
  #head = 0;
  #firstNumber = 1;
  #lastNumber = 0;
  #nextNumber = 1;
  #keptBytes = 0;
  /** Sent, not acknowledged, and dropped: lost only if the connection breaks. */
  #unacknowledged: { from: number; to: number } | undefined;
  #lost: LineRange | undefined;
  #isEnded = false;
  /** One reading of the clock for all lines of a chunk. */
  #chunkUptimeMs: number | undefined;
  #wake: (() => void) | undefined;
  readonly #onEnd: (() => void)[] = [];
  /** The test's line that has no end yet. */
  #open: Buffer[] = [];
  #openBytes = 0;
  #isContinued = false;
  #openTimer: NodeJS.Timeout | undefined;

  constructor({ boot, readUptimeMs, ...options }: LineQueueOptions) {
    this.#boot = boot;
    this.#readUptimeMs = readUptimeMs;
    this.#queueBytes = options.queueBytes ?? NETWORK_LOG_QUEUE_BYTES;
    this.#lineBytes = options.lineBytes ?? NETWORK_LOG_LINE_BYTES;
    this.#openLineMs = options.openLineMs ?? NETWORK_LOG_OPEN_LINE_MS;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Text of the agent or the kernel: one or several lines, without the last line end. */
  line(text: string, origin: LineOrigin = "dutboot"): void {
    for (const line of text.split("\n")) this.#add(origin, Buffer.from(line));
  }

  /** The test's output, in chunks of any size. */
  output(chunk: Buffer): void {
    if (this.#isEnded) return;
    this.#chunkUptimeMs = this.#readUptimeMs();
    let from = 0;
    for (let end = chunk.indexOf(LINE_END); end !== -1; end = chunk.indexOf(LINE_END, from)) {
      this.#addBytes(chunk.subarray(from, end), true);
      from = end + 1;
    }
    if (from < chunk.length) this.#addBytes(chunk.subarray(from), false);
    clearTimeout(this.#openTimer);
    if (this.#openBytes > 0 && this.#openLineMs === 0) this.#addOpen(false);
    this.#chunkUptimeMs = undefined;
    if (this.#openBytes > 0)
      this.#openTimer = setTimeout(() => this.#addOpen(false), this.#openLineMs).unref();
  }

  /** Passes open lines on at once from now on. */
  unbuffer(): void {
    this.#openLineMs = 0;
    clearTimeout(this.#openTimer);
    if (this.#openBytes > 0) this.#addOpen(false);
  }

  /** The test's line ends here even without a line end. */
  endOutput(): void {
    clearTimeout(this.#openTimer);
    if (this.#openBytes > 0 || this.#isContinued) this.#addOpen(true);
  }

  /** Replaces the text of each kept line that is not the test's. */
  cleanKept(clean: (line: string) => string): void {
    for (const line of this.#entries.slice(this.#head)) {
      if (line.origin === "test") continue;
      this.#keptBytes -= line.text.length;
      line.text = Buffer.from(clean(line.text.toString()));
      this.#keptBytes += line.text.length;
    }
  }

  async next({
    maxBytes,
    signal,
  }: {
    maxBytes: number;
    signal?: AbortSignal;
  }): Promise<LogLine[] | undefined> {
    while (this.#nextNumber > this.#lastNumber) {
      if (this.#isEnded || signal?.aborted) return undefined;
      const { promise, resolve } = Promise.withResolvers<unknown>();
      this.#wake = () => resolve(undefined);
      signal?.addEventListener("abort", resolve);
      await promise;
      signal?.removeEventListener("abort", resolve);
      this.#wake = undefined;
    }
    return signal?.aborted ? undefined : this.#take(maxBytes);
  }

  acknowledge(number: number): void {
    while (this.#firstNumber <= number && this.#firstNumber <= this.#lastNumber) this.#removeFirst();
    if (!this.#unacknowledged) return;
    const { from, to } = this.#unacknowledged;
    this.#unacknowledged = number >= to ? undefined : { from: Math.max(from, number + 1), to };
  }

  /** Sends again what is not acknowledged. */
  rewind(): void {
    if (this.#unacknowledged) this.#countLost(this.#unacknowledged.from, this.#unacknowledged.to);
    this.#unacknowledged = undefined;
    this.#nextNumber = this.#firstNumber;
  }

  /** Lines dropped before the reader had them, since the last call. */
  takeLost(): LineRange | undefined {
    const lost = this.#lost;
    this.#lost = undefined;
    return lost;
  }

  /** Accepts no more lines. */
  end(): void {
    if (this.#isEnded) return;
    this.endOutput();
    this.#isEnded = true;
    this.#wake?.();
    for (const callback of this.#onEnd.splice(0)) callback();
  }

  /** Ends and drops what is kept. */
  discard(): void {
    this.end();
    this.#entries = [];
    this.#head = this.#keptBytes = 0;
    this.#firstNumber = this.#nextNumber = this.#lastNumber + 1;
  }

  onceEnded(callback: () => void): void {
    if (this.#isEnded) callback();
    else this.#onEnd.push(callback);
  }

  #add(origin: LineOrigin, text: Buffer, part: LinePart = "whole"): void {
    if (this.#isEnded) return;
    const uptimeMs = this.#chunkUptimeMs ?? this.#readUptimeMs();
    this.#entries.push({ boot: this.#boot, number: ++this.#lastNumber, uptimeMs, part, origin, text });
    this.#keptBytes += text.length + ENTRY_BYTES;
    while (this.#keptBytes > this.#queueBytes && this.#firstNumber < this.#lastNumber) {
      const first = this.#firstNumber;
      if (first >= this.#nextNumber) this.#countLost(first, first);
      else this.#unacknowledged = { from: this.#unacknowledged?.from ?? first, to: first };
      this.#removeFirst();
    }
    this.#nextNumber = Math.max(this.#nextNumber, this.#firstNumber);
    this.#wake?.();
    this.#wake = undefined;
  }

  #removeFirst(): void {
    this.#keptBytes -= this.#entries[this.#head]!.text.length + ENTRY_BYTES;
    this.#entries[this.#head++] = undefined as never;
    this.#firstNumber++;
    if (this.#head < COMPACT_AT) return;
    this.#entries = this.#entries.slice(this.#head);
    this.#head = 0;
  }

  #countLost(from: number, to: number): void {
    if (to < from) return;
    this.#lost = { count: (this.#lost?.count ?? 0) + to - from + 1, from: this.#lost?.from ?? from, to };
  }

  /** `isLineEnd`: the bytes are the last ones of their line. */
  #addBytes(bytes: Buffer, isLineEnd: boolean): void {
    let rest = bytes;
    while (this.#openBytes + rest.length > this.#lineBytes) {
      const room = this.#lineBytes - this.#openBytes;
      this.#open.push(rest.subarray(0, room));
      rest = rest.subarray(room);
      this.#addOpen(false);
    }
    if (isLineEnd && this.#openBytes === 0 && !this.#isContinued) this.#add("test", rest);
    else if (isLineEnd) {
      this.#open.push(rest);
      this.#addOpen(true);
    } else if (rest.length > 0) {
      // A copy: the chunk that it is part of may be large.
      this.#open.push(Buffer.from(rest));
      this.#openBytes += rest.length;
    }
  }

  /** Adds what has come of the open line; more of the line follows unless `isLineEnd`. */
  #addOpen(isLineEnd: boolean): void {
    const text = Buffer.concat(this.#open);
    const part = this.#isContinued ? (isLineEnd ? "end" : "middle") : isLineEnd ? "whole" : "start";
    this.#open = [];
    this.#openBytes = 0;
    this.#isContinued = !isLineEnd;
    this.#add("test", text, part);
  }

  #take(maxBytes: number): LogLine[] {
    const lines: LogLine[] = [];
    let sizeBytes = 0;
    while (this.#nextNumber <= this.#lastNumber && (lines.length === 0 || sizeBytes < maxBytes)) {
      const line = this.#entries[this.#nextNumber - this.#firstNumber + this.#head]!;
      lines.push(line);
      sizeBytes += line.text.length + ENTRY_BYTES / 4;
      this.#nextNumber++;
    }
    return lines;
  }
}
