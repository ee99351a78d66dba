/**
 * The log as numbered lines for a reader over the network, from the boot's first one on: kept until the reader has them, in a
 * bounded queue that loses its oldest ones first. What is lost is counted, and the numbers show the gap.
 */

import type { LinePart, NumberedLine } from "../../wire/numbered-line.ts";
import type { LineOrigin } from "../../wire/syslog.ts";
import { CONSOLE_HOLD_MS, NETWORK_LOG_LINE_BYTES, NETWORK_LOG_QUEUE_BYTES } from "../limits.ts";

export interface LogLine extends NumberedLine {
  origin: LineOrigin;
}

/** What transports take lines from, one transport at a time. */
export interface LineSource {
  /** At least one line and about `maxBytes`; undefined when no line is left and none will come, or `signal` gives up the wait. */
  next(options: { maxBytes: number; signal?: AbortSignal }): Promise<LogLine[] | undefined>;
  /** The reader has all lines up to this number. */
  acknowledge(number: number): void;
}

export interface LineQueue extends LineSource {
  /** Of the agent's: it waits for the end of the test's line, as on the console, for a bounded time. */
  line(text: string): void;
  kernelLine(text: string): void;
  /** The test's bytes as they come. */
  output(chunk: Buffer): void;
  /** The test's line is over though it has no end. */
  endOutput(): void;
  /** Before anything is sent: of what is kept, each line that is not the test's is replaced. */
  cleanKept(clean: (line: string) => string): void;
  /** What is not acknowledged is to be sent again. */
  rewind(): void;
  /** Lines that nobody will get any more, since the last call. */
  takeLost(): { count: number; from: number; to: number } | undefined;
  /** No line comes any more. */
  end(): void;
  /** Nor is any kept. */
  discard(): void;
  readonly isEnded: boolean;
  /** Calls back once, at the end; at once where it is ended. */
  onceEnded(callback: () => void): void;
}

export interface LineQueueOptions {
  boot: string;
  readUptimeMs: () => number;
  queueBytes?: number;
  lineBytes?: number;
  holdMs?: number;
}

const LINE_END = 0x0a;
/** What an entry costs beside its text. */
const ENTRY_BYTES = 160;
/** Gone entries at the front of the array, before they are cut off. */
const COMPACT_AT = 4096;

export function createLineQueue({ boot, readUptimeMs, ...options }: LineQueueOptions): LineQueue {
  const { queueBytes = NETWORK_LOG_QUEUE_BYTES, holdMs = CONSOLE_HOLD_MS } = options;
  const { lineBytes = NETWORK_LOG_LINE_BYTES } = options;
  // Numbers in the queue follow each other: the entry of number n stands at n - firstNumber + head.
  let entries: LogLine[] = [];
  let head = 0;
  let firstNumber = 1;
  let lastNumber = 0;
  let nextNumber = 1;
  let keptBytes = 0;
  /** Sent, not acknowledged, and dropped. */
  let unsure: { from: number; to: number } | undefined;
  let lost: { count: number; from: number; to: number } | undefined;
  let isEnded = false;
  /** While one chunk is cut into lines. */
  let nowMs: number | undefined;
  let wake: (() => void) | undefined;
  const whenEnded: (() => void)[] = [];

  let open: Buffer[] = [];
  let openBytes = 0;
  let isContinued = false;
  const held: string[] = [];
  let holdTimer: NodeJS.Timeout | undefined;

  const countLost = (from: number, to: number) => {
    if (to < from) return;
    lost = { count: (lost?.count ?? 0) + to - from + 1, from: lost?.from ?? from, to };
  };
  const removeFirst = () => {
    keptBytes -= entries[head]!.text.length + ENTRY_BYTES;
    entries[head++] = undefined as never;
    firstNumber++;
    if (head < COMPACT_AT) return;
    entries = entries.slice(head);
    head = 0;
  };
  const add = (origin: LineOrigin, text: Buffer, part: LinePart = "whole") => {
    if (isEnded) return;
    entries.push({ boot, number: ++lastNumber, uptimeMs: nowMs ?? readUptimeMs(), part, origin, text });
    keptBytes += text.length + ENTRY_BYTES;
    while (keptBytes > queueBytes && firstNumber < lastNumber) {
      // Of what was sent already it is not known yet; rewind() will.
      if (firstNumber >= nextNumber) countLost(firstNumber, firstNumber);
      else unsure = { from: unsure?.from ?? firstNumber, to: firstNumber };
      removeFirst();
    }
    nextNumber = Math.max(nextNumber, firstNumber);
    wake?.();
    wake = undefined;
  };

  /** A piece of the test's open line; the line goes on unless `isWhole`. */
  const addOpen = (isWhole: boolean) => {
    const text = Buffer.concat(open);
    const part = isContinued ? (isWhole ? "end" : "middle") : isWhole ? "whole" : "start";
    open = [];
    openBytes = 0;
    isContinued = !isWhole;
    add("test", text, part);
  };
  /** `isLineEnd`: the bytes are the last ones of their line. */
  const takeBytes = (bytes: Buffer, isLineEnd: boolean) => {
    let rest = bytes;
    while (openBytes + rest.length > lineBytes) {
      const room = lineBytes - openBytes;
      open.push(rest.subarray(0, room));
      rest = rest.subarray(room);
      addOpen(false);
    }
    if (isLineEnd && openBytes === 0 && !isContinued) add("test", rest);
    else if (isLineEnd) {
      open.push(rest);
      addOpen(true);
    } else if (rest.length > 0) {
      // A copy: the chunk it came in may be large.
      open.push(Buffer.from(rest));
      openBytes += rest.length;
    }
  };
  const hasOpenLine = () => openBytes > 0;
  const endOutput = () => {
    if (hasOpenLine() || isContinued) addOpen(true);
    watchOpenLine();
  };

  const releaseHeld = () => {
    for (const text of held.splice(0)) for (const line of text.split("\n")) add("dutboot", Buffer.from(line));
  };
  const watchOpenLine = () => {
    clearTimeout(holdTimer);
    holdTimer = undefined;
    if (!hasOpenLine()) return releaseHeld();
    // What is not ended by then may be a prompt, or the last words.
    holdTimer = setTimeout(() => {
      addOpen(false);
      releaseHeld();
    }, holdMs).unref();
  };

  const end = () => {
    if (isEnded) return;
    endOutput();
    isEnded = true;
    wake?.();
    for (const callback of whenEnded.splice(0)) callback();
  };

  const takeSome = (maxBytes: number): LogLine[] => {
    const some: LogLine[] = [];
    let sizeBytes = 0;
    while (nextNumber <= lastNumber && (some.length === 0 || sizeBytes < maxBytes)) {
      const line = entries[nextNumber - firstNumber + head]!;
      some.push(line);
      sizeBytes += line.text.length + ENTRY_BYTES / 4;
      nextNumber++;
    }
    return some;
  };

  return {
    line(text) {
      held.push(text);
      if (!hasOpenLine()) releaseHeld();
    },
    kernelLine: (text) => add("kernel", Buffer.from(text)),
    output(chunk) {
      if (isEnded) return;
      nowMs = readUptimeMs();
      let from = 0;
      for (let end = chunk.indexOf(LINE_END); end !== -1; end = chunk.indexOf(LINE_END, from)) {
        takeBytes(chunk.subarray(from, end), true);
        from = end + 1;
      }
      if (from < chunk.length) takeBytes(chunk.subarray(from), false);
      nowMs = undefined;
      watchOpenLine();
    },
    endOutput,
    async next({ maxBytes, signal }) {
      while (nextNumber > lastNumber) {
        if (isEnded || signal?.aborted) return undefined;
        const { promise, resolve } = Promise.withResolvers<unknown>();
        wake = () => resolve(undefined);
        signal?.addEventListener("abort", resolve);
        await promise;
        signal?.removeEventListener("abort", resolve);
        wake = undefined;
      }
      return signal?.aborted ? undefined : takeSome(maxBytes);
    },
    acknowledge(number) {
      while (firstNumber <= number && firstNumber <= lastNumber) removeFirst();
      if (unsure)
        unsure = number >= unsure.to ? undefined : { ...unsure, from: Math.max(unsure.from, number + 1) };
    },
    cleanKept(clean) {
      for (const line of entries.slice(head)) {
        if (line.origin === "test") continue;
        keptBytes -= line.text.length;
        line.text = Buffer.from(clean(line.text.toString()));
        keptBytes += line.text.length;
      }
    },
    rewind() {
      if (unsure) countLost(unsure.from, unsure.to);
      unsure = undefined;
      nextNumber = firstNumber;
    },
    takeLost() {
      const found = lost;
      lost = undefined;
      return found;
    },
    end,
    discard() {
      end();
      entries = [];
      head = keptBytes = 0;
      firstNumber = nextNumber = lastNumber + 1;
    },
    get isEnded() {
      return isEnded;
    },
    onceEnded(callback) {
      if (isEnded) callback();
      else whenEnded.push(callback);
    },
  };
}
