/**
 * The consoles of the DUT: the agent's own lines and the test's live output, to every console through a queue of its own.
 * A UART carries 11 KB/s, so nothing waits for it: lines that do not fit are left out, counted and said; the log file has it all.
 */
import {
  CONSOLE_HISTORY_BYTES,
  CONSOLE_LINE_MAX_BYTES,
  CONSOLE_OPEN_LINE_MS,
  CONSOLE_STATE_MS,
} from "../limits.ts";
import { formatAgentLine } from "./agent-line.ts";
import type { ConsoleDevice } from "./device.ts";
import { createLineSplitter } from "./line-splitter.ts";
import { type ConsoleQueue, createConsoleQueue } from "./queue.ts";
import { isOverwritten } from "./sanitize-line.ts";

export interface Console {
  /** One line of the agent's, never left out; a line end is added. */
  line(text: string): void;
  /** Output of the test, as it came; of what is left out, the lines that farms wait for (result-lines.ts) still come. */
  output(chunk: Buffer): void;
  /** What follows is a step's output; `isInteractive`: bytes as they come, for whoever sits at the console. */
  beginOutput(options: { isInteractive: boolean }): void;
  /** The step is over: its last lines come now, whatever was left out before them. */
  endOutput(): void;
  /** Resolves when everything queued has left, or cannot. */
  flush(): Promise<void>;
}

/** The console as whoever sets it up sees it. */
export interface ConsoleSet extends Console {
  /** Of those that still take what they get. */
  readonly names: readonly string[];
  /** It gets the agent's first lines, unless it was here before, and everything from now on. */
  add(device: ConsoleDevice, options?: { isBack?: boolean }): void;
  /** Whether colours of the test's are shown. */
  setColor(hasColor: boolean): void;
  /** False where there is no such console. */
  setRate(name: string, bytesPerSecond: number): boolean;
}

export interface ConsoleOptions {
  readUptimeMs: () => number;
  /** A console that takes nothing any more; the others go on. */
  onGone?: (name: string, error: Error) => void;
  openLineMs?: number;
  stateMs?: number;
  queueMs?: number;
  stuckMs?: number;
}

export function createConsole(devices: readonly ConsoleDevice[], options: ConsoleOptions): ConsoleSet {
  const { readUptimeMs, openLineMs = CONSOLE_OPEN_LINE_MS, stateMs = CONSOLE_STATE_MS } = options;
  let queues: ConsoleQueue[] = [];
  let hasColor = true;
  let isInteractive = false;
  const history: string[] = [];
  let historyBytes = 0;
  let openTimer: NodeJS.Timeout | undefined;
  let nextStateAt = 0;

  const add = (device: ConsoleDevice, { isBack = false } = {}) => {
    const queue = createConsoleQueue(device, {
      hasColor,
      queueMs: options.queueMs,
      stuckMs: options.stuckMs,
      formatNote: (text) => formatAgentLine(text, readUptimeMs()),
      onGone(error) {
        queues = queues.filter((each) => each !== queue);
        device.close();
        options.onGone?.(device.name, error);
      },
    });
    if (!isBack) for (const text of history) queue.line(text);
    queues.push(queue);
  };
  const lines = createLineSplitter({
    lineMaxBytes: CONSOLE_LINE_MAX_BYTES,
    onLines: (block, droppedBytes) => {
      for (const queue of queues) queue.lines(block, droppedBytes);
    },
  });
  const showOpenLine = () => {
    openTimer = undefined;
    const { open } = lines;
    if (open.length === 0) return;
    if (isOverwritten(open)) nextStateAt = performance.now() + stateMs;
    for (const queue of queues) queue.openLine(open);
  };
  const watchOpenLine = () => {
    if (lines.open.length === 0) {
      clearTimeout(openTimer);
      openTimer = undefined;
    } else {
      openTimer ??= setTimeout(showOpenLine, Math.max(openLineMs, nextStateAt - performance.now()));
    }
  };
  for (const device of devices) add(device);

  return {
    get names() {
      return queues.map(({ name }) => name);
    },
    add,
    setColor(wanted) {
      hasColor = wanted;
      for (const queue of queues) queue.setColor(wanted);
    },
    setRate(name, bytesPerSecond) {
      const queue = queues.find((each) => each.name === name);
      queue?.setRate(bytesPerSecond);
      return queue !== undefined;
    },
    line(text) {
      if (historyBytes < CONSOLE_HISTORY_BYTES) {
        history.push(text);
        historyBytes += text.length;
      }
      for (const queue of queues) queue.line(text);
    },
    output(chunk) {
      if (isInteractive) {
        for (const queue of queues) queue.raw(chunk);
        return;
      }
      lines.write(chunk);
      watchOpenLine();
    },
    beginOutput(options) {
      isInteractive = options.isInteractive;
    },
    endOutput() {
      clearTimeout(openTimer);
      openTimer = undefined;
      nextStateAt = 0;
      lines.end();
      isInteractive = false;
      for (const queue of queues) queue.endOutput();
    },
    async flush() {
      await Promise.all(queues.map((queue) => queue.flush()));
    },
  };
}
