/**
 * What waits for one console: the agent's lines, never elided, and the test's lines, of which the middle of a burst is elided when they
 * exceed the console's rate. The first and last lines of a burst are shown, and all that farms match.
 */
import { formatCount } from "../../text.ts";
import {
  CONSOLE_AHEAD_MS,
  CONSOLE_QUEUE_MAX_BYTES,
  CONSOLE_QUEUE_MIN_BYTES,
  CONSOLE_QUEUE_MS,
  CONSOLE_STUCK_MS,
  CONSOLE_TAIL_SHARE,
  CONSOLE_UNBOUND_BYTES_PER_SECOND,
  CONSOLE_WRITE_BYTES,
} from "../limits.ts";
import type { ConsoleDevice } from "./device.ts";
import { ElidedLines } from "./elided-lines.ts";
import { countLines } from "./result-markers.ts";
import { isOverwritten, type SanitizeOptions, sanitizeLine } from "./sanitize-line.ts";

export interface ConsoleQueueOptions {
  /** Makes an agent's line of a note about elided lines. */
  formatNote: (text: string) => string;
  onGone: (error: Error) => void;
  hasColor: boolean;
  queueMs?: number;
  stuckMs?: number;
}

const LINE_END = 0x0a;
/** Raw bytes are written in small pieces so that they can be paced. */
const RAW_WRITE_BYTES = 256;

export class ConsoleQueue {
  hasColor: boolean;
  readonly #device: ConsoleDevice;
  readonly #options: ConsoleQueueOptions;
  #nominalRate: number;
  readonly #queue: Buffer[] = [];
  #queuedBytes = 0;
  #isWriting = false;
  #isGone = false;
  #isMidLine = false;
  /** How much of the test's open line is on the console. */
  #shownOpenBytes = 0;
  /** When the line will have sent what it was given, by its nominal rate. */
  #freeAt = 0;
  #pause: NodeJS.Timeout | undefined;
  #lastWrittenAt = 0;
  #isStuck = false;
  /** Bytes and time of the last writes, with decreasing weight. */
  readonly #written = { bytes: 0, ms: 0 };
  #onIdle: (() => void)[] = [];
  #isEliding = false;
  readonly #elided = new ElidedLines({ resultsMaxBytes: CONSOLE_QUEUE_MAX_BYTES });
  /** The open line of raw bytes while lines are elided. */
  #rawRest: Buffer = Buffer.alloc(0);

  constructor(device: ConsoleDevice, options: ConsoleQueueOptions) {
    this.#device = device;
    this.#options = options;
    this.hasColor = options.hasColor;
    this.#nominalRate = device.bytesPerSecond ?? CONSOLE_UNBOUND_BYTES_PER_SECOND;
  }

  get name(): string {
    return this.#device.name;
  }

  setRate(bytesPerSecond: number): void {
    this.#nominalRate = bytesPerSecond;
  }

  /** A line of the agent; a line end is added. */
  line(text: string): void {
    if (this.#isGone) return;
    // The console has accepted nothing for minutes or days.
    if (this.#queuedBytes > CONSOLE_QUEUE_MAX_BYTES) {
      this.#elide(Buffer.from(`${text}\n`), 0);
      return;
    }
    if (this.#isEliding)
      this.#showElided(this.#queuedBytes <= this.#limitBytes() ? this.#tailLimitBytes() : 0);
    this.#breakLine();
    this.#push(Buffer.from(`${text}\n`));
  }

  /** Whole lines of the test; `droppedBytes` as in LineSplitter. */
  lines(block: Buffer, droppedBytes: number): void {
    if (this.#isGone) return;
    let at = 0;
    if (this.#shownOpenBytes > 0) {
      at = block.indexOf(LINE_END) + 1;
      const rest = block.subarray(Math.min(this.#shownOpenBytes, at - 1), at);
      this.#shownOpenBytes = 0;
      const isContinued = this.#isMidLine;
      if (isContinued || rest.length > 1) this.#pushLine(rest, { droppedBytes, isContinued });
    }
    while (at < block.length) {
      if (this.#isEliding || this.#queuedBytes >= this.#limitBytes()) {
        this.#elide(block.subarray(at), droppedBytes);
        return;
      }
      const end = block.indexOf(LINE_END, at) + 1;
      this.#pushLine(block.subarray(at, end), { droppedBytes });
      at = end;
    }
  }

  /** The line that has no end yet, from its start; shows what was not shown before. */
  openLine(line: Buffer): void {
    if (this.#isGone || this.#isEliding || this.#queuedBytes >= this.#limitBytes()) return;
    if (isOverwritten(line)) {
      // One line for each state; the last one comes with the line's end.
      this.#shownOpenBytes = 0;
      this.#breakLine();
      this.#pushLine(line);
    } else {
      const rest = line.subarray(this.#shownOpenBytes);
      const { hasColor } = this;
      this.#push(sanitizeLine(rest, { hasColor, isOpen: true, isContinued: this.#isMidLine }));
      this.#shownOpenBytes = line.length;
    }
  }

  /** Bytes for a user at the console. */
  raw(chunk: Buffer): void {
    if (this.#isGone) return;
    if (!this.#isEliding && this.#queuedBytes < this.#limitBytes()) {
      for (let at = 0; at < chunk.length; at += RAW_WRITE_BYTES)
        this.#push(Buffer.from(chunk.subarray(at, at + RAW_WRITE_BYTES)));
      return;
    }
    const all = Buffer.concat([this.#rawRest, chunk]);
    const end = all.lastIndexOf(LINE_END) + 1;
    this.#elide(all.subarray(0, end), 0);
    this.#rawRest = Buffer.from(all.subarray(end).subarray(-RAW_WRITE_BYTES));
  }

  /** The test's output is over for now: shows the last lines of a burst, and ends an open line. */
  endOutput(): void {
    this.#shownOpenBytes = 0;
    this.#endEliding();
    this.#breakLine();
  }

  /** Resolves when everything has been sent, or the console is stuck. */
  async flush(): Promise<void> {
    this.#endEliding();
    if (this.#isGone) return;
    const idle = new Promise<void>((resolve) => this.#onIdle.push(resolve));
    this.#pump();
    await this.#unlessStuck(idle.then(() => this.#device.drain()).catch(() => undefined));
  }

  get #isBound(): boolean {
    return this.#nominalRate < CONSOLE_UNBOUND_BYTES_PER_SECOND;
  }

  /** Whatever slows a console down (the kernel's messages, the reader of a virtual one) shows in how long writes take. */
  #limitBytes(): number {
    const { bytes, ms } = this.#written;
    const rate = ms > 1 ? Math.min(this.#nominalRate, (bytes * 1000) / ms) : this.#nominalRate;
    const leastBytes = this.#isBound ? CONSOLE_QUEUE_MIN_BYTES : 16 * CONSOLE_QUEUE_MIN_BYTES;
    const queueMs = this.#options.queueMs ?? CONSOLE_QUEUE_MS;
    return Math.min(CONSOLE_QUEUE_MAX_BYTES, Math.max(leastBytes, (rate * queueMs) / 1000));
  }

  #tailLimitBytes(): number {
    return this.#limitBytes() * CONSOLE_TAIL_SHARE;
  }

  #push(bytes: Buffer): void {
    if (this.#isGone || bytes.length === 0) return;
    this.#queue.push(bytes);
    this.#queuedBytes += countWireBytes(bytes);
    this.#isMidLine = bytes[bytes.length - 1] !== LINE_END;
    this.#pump();
  }

  #breakLine(): void {
    if (this.#isMidLine) this.#push(Buffer.of(LINE_END));
  }

  #pushLine(line: Buffer, options: Partial<SanitizeOptions> = {}): void {
    const end = line[line.length - 1] === LINE_END ? line.length - 1 : line.length;
    const clean = sanitizeLine(line.subarray(0, end), { hasColor: this.hasColor, ...options });
    this.#push(Buffer.concat([clean, Buffer.of(LINE_END)]));
  }

  #elide(block: Buffer, droppedBytes: number): void {
    if (!this.#isEliding) this.#breakLine();
    this.#isEliding = true;
    if (block.length > 0) this.#elided.add(block, droppedBytes);
  }

  #showElided(tailBytes: number): void {
    for (const item of this.#elided.take({ tailBytes })) {
      if ("line" in item) this.#pushLine(item.line, { droppedBytes: item.droppedBytes });
      else this.#noteMissing(item.missingLines);
    }
  }

  #noteMissing(count: number): void {
    const note = `… ${formatCount(count)} line${count === 1 ? "" : "s"} not shown; the full log is in the results …`;
    this.#breakLine();
    this.#push(Buffer.from(`${this.#options.formatNote(note)}\n`));
  }

  #endEliding(): void {
    if (!this.#isEliding) return;
    this.#isEliding = false;
    this.#showElided(this.#tailLimitBytes());
    this.#push(this.#rawRest);
    this.#rawRest = Buffer.alloc(0);
  }

  #pump(): void {
    if (this.#isWriting || this.#pause || this.#isGone) return;
    if (this.#queue.length === 0) {
      this.#becomeIdle();
      return;
    }
    const now = performance.now();
    if (this.#freeAt - now > CONSOLE_AHEAD_MS) {
      const waitMs = this.#freeAt - now - CONSOLE_AHEAD_MS / 4;
      this.#pause = setTimeout(() => {
        this.#pause = undefined;
        this.#pump();
      }, waitMs);
      return;
    }
    const bytes = this.#takeNext();
    this.#isWriting = true;
    this.#freeAt = Math.max(this.#freeAt, now) + (countWireBytes(bytes) * 1000) / this.#nominalRate;
    this.#device.write(bytes, (error) => {
      this.#isWriting = false;
      if (error) return this.#fail(error);
      this.#queuedBytes -= countWireBytes(bytes);
      this.#isStuck = false;
      this.#lastWrittenAt = performance.now();
      this.#written.bytes = this.#written.bytes * 0.9 + bytes.length;
      this.#written.ms = this.#written.ms * 0.9 + (this.#lastWrittenAt - now);
      if (this.#isEliding && this.#queuedBytes <= this.#limitBytes() / 4) this.#endEliding();
      this.#pump();
    });
  }

  /** A single line where a rate bounds writes; else as many whole lines as fit. */
  #takeNext(): Buffer {
    const first = this.#queue.shift()!;
    if (this.#isBound || this.#queue.length === 0) return first;
    const pieces = [first];
    let sizeBytes = first.length;
    while (this.#queue.length > 0 && sizeBytes + this.#queue[0]!.length <= CONSOLE_WRITE_BYTES) {
      sizeBytes += this.#queue[0]!.length;
      pieces.push(this.#queue.shift()!);
    }
    return Buffer.concat(pieces);
  }

  #fail(error: Error): void {
    this.#isGone = true;
    this.#queue.length = 0;
    this.#queuedBytes = 0;
    this.#becomeIdle();
    this.#options.onGone(error);
  }

  #becomeIdle(): void {
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /** Resolves with `work`, or once the console has accepted nothing for too long; from then on at once. */
  async #unlessStuck(work: Promise<void>): Promise<void> {
    if (this.#isStuck) return;
    const { stuckMs = CONSOLE_STUCK_MS } = this.#options;
    const since = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const stuck = new Promise<void>((resolve) => {
      timer = setInterval(() => {
        const lastProgressAt = Math.max(since, this.#lastWrittenAt, this.#freeAt);
        this.#isStuck = performance.now() - lastProgressAt > stuckMs;
        if (this.#isStuck) resolve();
      }, stuckMs / 10);
    });
    await Promise.race([work, stuck]);
    clearInterval(timer);
  }
}

/** A terminal sends a line end as two bytes. */
function countWireBytes(bytes: Buffer): number {
  return bytes.length + countLines(bytes);
}
