/**
 * What waits for one console: the agent's lines, never left out, and the test's, of which whole lines are left out in the middle
 * when they outrun the console's rate. The first and last lines of a burst are shown, and all that look like results.
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
import { createElidedLines } from "./elided-lines.ts";
import { countLines } from "./result-markers.ts";
import { isOverwritten, type SanitizeOptions, sanitizeLine } from "./sanitize-line.ts";

export interface ConsoleQueue {
  readonly name: string;
  /** Of the agent; a line end is added. While the test's line is on the console it waits for its end, a second at most. */
  line(text: string): void;
  /** Whole lines of the test's, with their line ends; `droppedBytes` as in LineSplitter. */
  lines(block: Buffer, droppedBytes: number): void;
  /** The line whose end is not there yet, from its start: what of it was not shown before is shown now. */
  openLine(line: Buffer): void;
  /** Bytes as they come, for whoever sits at the console. */
  raw(chunk: Buffer): void;
  /** Nothing of the test's is left to come for now: the last lines of a burst, and the end of an open line. */
  endOutput(): void;
  setColor(hasColor: boolean): void;
  setRate(bytesPerSecond: number): void;
  /** Resolves when all of it has left, or the console takes nothing any more. */
  flush(): Promise<void>;
}

export interface ConsoleQueueOptions {
  /** A line of ours about lines that were left out. */
  formatNote: (text: string) => string;
  onGone: (error: Error) => void;
  hasColor?: boolean;
  queueMs?: number;
  stuckMs?: number;
}

const LINE_END = 0x0a;
/** Raw bytes are cut so that they can be paced. */
const RAW_WRITE_BYTES = 256;

export function createConsoleQueue(device: ConsoleDevice, options: ConsoleQueueOptions): ConsoleQueue {
  const { queueMs = CONSOLE_QUEUE_MS, stuckMs = CONSOLE_STUCK_MS } = options;
  let { hasColor = true } = options;
  let nominalRate = device.bytesPerSecond ?? CONSOLE_UNBOUND_BYTES_PER_SECOND;
  const isBound = () => nominalRate < CONSOLE_UNBOUND_BYTES_PER_SECOND;
  const queue: Buffer[] = [];
  let queuedBytes = 0;
  let isWriting = false;
  let isGone = false;
  let isMidLine = false;
  /** Of the test's open line. */
  let shownOpenBytes = 0;
  /** When the line will have sent what it was given, by its nominal rate. */
  let freeAt = 0;
  let pause: NodeJS.Timeout | undefined;
  let lastTakenAt = 0;
  let isStuck = false;
  /** Of the last writes, older ones counting less. */
  const taken = { bytes: 0, ms: 0 };
  let whenIdle: (() => void)[] = [];

  let isEliding = false;
  const leftOut = createElidedLines({ resultsMaxBytes: CONSOLE_QUEUE_MAX_BYTES });
  let rawRest: Buffer = Buffer.alloc(0);

  // Whatever slows a console down (the kernel's own lines, a reader of a virtual one) shows in how long writes take.
  const readRate = () =>
    taken.ms > 1 ? Math.min(nominalRate, (taken.bytes * 1000) / taken.ms) : nominalRate;
  const countBytes = (ms: number, least: number) =>
    Math.min(CONSOLE_QUEUE_MAX_BYTES, Math.max(least, (readRate() * ms) / 1000));
  const leastBytes = () => (isBound() ? CONSOLE_QUEUE_MIN_BYTES : 16 * CONSOLE_QUEUE_MIN_BYTES);
  const limitBytes = () => countBytes(queueMs, leastBytes());
  const tailLimitBytes = () => limitBytes() * CONSOLE_TAIL_SHARE;

  const push = (bytes: Buffer) => {
    if (isGone || bytes.length === 0) return;
    queue.push(bytes);
    queuedBytes += countWireBytes(bytes);
    isMidLine = bytes[bytes.length - 1] !== LINE_END;
    pump();
  };
  const breakLine = () => {
    if (isMidLine) push(Buffer.of(LINE_END));
  };
  const pushLine = (line: Buffer, show: Partial<SanitizeOptions> = {}) => {
    const end = line[line.length - 1] === LINE_END ? line.length - 1 : line.length;
    const shown = sanitizeLine(line.subarray(0, end), { hasColor, ...show });
    push(Buffer.concat([shown, Buffer.of(LINE_END)]));
  };

  const sayMissing = (count: number) => {
    const note = `… ${formatCount(count)} line${count === 1 ? "" : "s"} not shown; the full log is in the results …`;
    breakLine();
    push(Buffer.from(`${options.formatNote(note)}\n`));
  };
  const showLeftOut = (tailBytes: number) => {
    for (const item of leftOut.take({ tailBytes })) {
      if ("line" in item) pushLine(item.line, { droppedBytes: item.droppedBytes });
      else sayMissing(item.missingLines);
    }
  };
  const endEliding = () => {
    if (!isEliding) return;
    isEliding = false;
    showLeftOut(tailLimitBytes());
    push(rawRest);
    rawRest = Buffer.alloc(0);
  };
  const elide = (block: Buffer, droppedBytes: number) => {
    if (!isEliding) breakLine();
    isEliding = true;
    if (block.length > 0) leftOut.add(block, droppedBytes);
  };

  const becomeIdle = () => {
    for (const resolve of whenIdle.splice(0)) resolve();
  };
  const lose = (error: Error) => {
    isGone = true;
    queue.length = 0;
    queuedBytes = 0;
    becomeIdle();
    options.onGone(error);
  };

  const pump = () => {
    if (isWriting || pause || isGone) return;
    if (queue.length === 0) return becomeIdle();
    const now = performance.now();
    if (freeAt - now > CONSOLE_AHEAD_MS) {
      const waitMs = freeAt - now - CONSOLE_AHEAD_MS / 4;
      pause = setTimeout(() => {
        pause = undefined;
        pump();
      }, waitMs);
      return;
    }
    const bytes = takeNext();
    isWriting = true;
    freeAt = Math.max(freeAt, now) + (countWireBytes(bytes) * 1000) / nominalRate;
    device.write(bytes, (error) => {
      isWriting = false;
      if (error) return lose(error);
      queuedBytes -= countWireBytes(bytes);
      isStuck = false;
      lastTakenAt = performance.now();
      taken.bytes = taken.bytes * 0.9 + bytes.length;
      taken.ms = taken.ms * 0.9 + (lastTakenAt - now);
      if (isEliding && queuedBytes <= limitBytes() / 4) endEliding();
      pump();
    });
  };
  /** One line by one write where a rate bounds them; else as many whole ones as fit. */
  const takeNext = (): Buffer => {
    const first = queue.shift()!;
    if (isBound() || queue.length === 0) return first;
    const pieces = [first];
    let sizeBytes = first.length;
    while (queue.length > 0 && sizeBytes + queue[0]!.length <= CONSOLE_WRITE_BYTES) {
      sizeBytes += queue[0]!.length;
      pieces.push(queue.shift()!);
    }
    return Buffer.concat(pieces);
  };

  /** Resolves when `work` does, or when the console has taken nothing for too long; then no one waits for it again. */
  const unlessStuck = async (work: Promise<void>) => {
    if (isStuck) return;
    const since = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const stuck = new Promise<void>((resolve) => {
      timer = setInterval(() => {
        isStuck = performance.now() - Math.max(since, lastTakenAt, freeAt) > stuckMs;
        if (isStuck) resolve();
      }, stuckMs / 10);
    });
    await Promise.race([work, stuck]);
    clearInterval(timer);
  };

  return {
    name: device.name,
    line(text) {
      if (isGone) return;
      // Nobody has taken anything for minutes or days.
      if (queuedBytes > CONSOLE_QUEUE_MAX_BYTES) return elide(Buffer.from(`${text}\n`), 0);
      if (isEliding) showLeftOut(queuedBytes <= limitBytes() ? tailLimitBytes() : 0);
      breakLine();
      push(Buffer.from(`${text}\n`));
    },
    lines(block, droppedBytes) {
      if (isGone) return;
      let at = 0;
      if (shownOpenBytes > 0) {
        at = block.indexOf(LINE_END) + 1;
        const rest = block.subarray(Math.min(shownOpenBytes, at - 1), at);
        shownOpenBytes = 0;
        if (isMidLine || rest.length > 1) pushLine(rest, { droppedBytes, isContinued: isMidLine });
      }
      while (at < block.length) {
        if (isEliding || queuedBytes >= limitBytes()) return elide(block.subarray(at), droppedBytes);
        const end = block.indexOf(LINE_END, at) + 1;
        pushLine(block.subarray(at, end), { droppedBytes });
        at = end;
      }
    },
    openLine(line) {
      if (isGone || isEliding || queuedBytes >= limitBytes()) return;
      if (isOverwritten(line)) {
        // One line a state; the last one comes with the line's end.
        shownOpenBytes = 0;
        breakLine();
        return pushLine(line);
      }
      const rest = line.subarray(shownOpenBytes);
      push(sanitizeLine(rest, { hasColor, isOpen: true, isContinued: isMidLine }));
      shownOpenBytes = line.length;
    },
    raw(chunk) {
      if (isGone) return;
      if (!isEliding && queuedBytes < limitBytes()) {
        for (let at = 0; at < chunk.length; at += RAW_WRITE_BYTES) {
          push(Buffer.from(chunk.subarray(at, at + RAW_WRITE_BYTES)));
        }
        return;
      }
      const all = Buffer.concat([rawRest, chunk]);
      const end = all.lastIndexOf(LINE_END) + 1;
      elide(all.subarray(0, end), 0);
      rawRest = Buffer.from(all.subarray(end).subarray(-RAW_WRITE_BYTES));
    },
    endOutput() {
      shownOpenBytes = 0;
      endEliding();
      breakLine();
    },
    setColor(wanted) {
      hasColor = wanted;
    },
    setRate(bytesPerSecond) {
      nominalRate = bytesPerSecond;
    },
    async flush() {
      endEliding();
      if (isGone) return;
      const idle = new Promise<void>((resolve) => {
        whenIdle = [...whenIdle, resolve];
      });
      pump();
      await unlessStuck(idle.then(() => device.drain()).catch(() => undefined));
    },
  };
}

/** A terminal sends a line end as two. */
function countWireBytes(bytes: Buffer): number {
  return bytes.length + countLines(bytes);
}
