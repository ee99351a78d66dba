/**
 * The log's copy over the network (`dut.log`): all that the console gets and nothing left out, with the kernel's messages, from the
 * boot's first line on. Who takes it is known only once the job is: until then both forms of it are kept, raw and as numbered lines.
 */

import type { Console } from "../console/console.ts";
import { NETWORK_LOG_FLUSH_MS } from "../limits.ts";
import { followKernelLog, type KernelLogFollower, type KernelLogOptions } from "../log/kernel-log.ts";
import { createLineQueue, type LineQueueOptions } from "./line-queue.ts";
import { type LineSender, type LineSenderOptions, type LogTransport, sendLines } from "./line-sender.ts";
import { createRawLog, type RawLogOptions } from "./tcp-log.ts";

/** Takes what the consoles take, from the first line on. Nothing of it waits for the network or throws. */
export interface NetworkLog extends Pick<Console, "line" | "output" | "endOutput"> {
  /** Once the job names a reader and the network is up: one that takes raw bytes, or a way to send lines. */
  start(reader: { host: string; port: number } | LogTransport): void;
  /** The job names none: what was kept is let go, and nothing is kept any more. */
  discard(): void;
  /** Waits for what is queued to leave, for a bounded time; then ends the connection. */
  close(): Promise<void>;
}

export interface NetworkLogOptions
  extends RawLogOptions,
    LineSenderOptions,
    Omit<LineQueueOptions, "queueBytes"> {
  /** Takes secrets out of a line. */
  clean: (line: string) => string;
  /** Of /dev/kmsg, for tests. */
  kernelLog?: Omit<KernelLogOptions, "onLine" | "clean"> | "none";
}

export function createNetworkLog(options: NetworkLogOptions): NetworkLog {
  const { log, clean, flushMs = NETWORK_LOG_FLUSH_MS } = options;
  const raw = createRawLog(options);
  const lines = createLineQueue(options);
  let isStarted = false;
  let sender: LineSender | undefined;
  let kernelLog: KernelLogFollower | undefined;
  let kernelLogFault: string | undefined;
  if (options.kernelLog !== "none")
    try {
      const onLine = (line: string) => {
        raw.line(line);
        lines.kernelLine(line);
      };
      kernelLog = followKernelLog({ ...options.kernelLog, clean, onLine });
    } catch (error) {
      kernelLogFault = (error as Error).message;
    }
  const forget = () => {
    kernelLog?.stop();
    kernelLog = undefined;
  };

  return {
    line(text) {
      raw.line(text);
      lines.line(text);
    },
    output(chunk) {
      raw.output(chunk);
      lines.output(chunk);
    },
    endOutput: lines.endOutput,
    start(to) {
      if (isStarted || lines.isEnded) return;
      isStarted = true;
      if (kernelLogFault !== undefined)
        log.warn(`log: the copy is without the kernel's messages: ${kernelLogFault}`);
      if ("run" in to) {
        raw.discard();
        // The kernel's first lines came before the job's secrets were known.
        lines.cleanKept(clean);
        sender = sendLines(lines, to, options);
      } else {
        lines.discard();
        raw.cleanKept(clean);
        raw.start(to);
      }
    },
    discard() {
      if (isStarted) return;
      forget();
      raw.discard();
      lines.discard();
    },
    async close() {
      forget();
      await Promise.all([raw.close(), sender?.finish(flushMs)]);
      lines.discard();
    },
  };
}
