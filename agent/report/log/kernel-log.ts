/**
 * The kernel's messages from /dev/kmsg, from the boot's first one on: all of them for `kernel.log` among the results, and those that the
 * console shows for the network log. Tests write to it too: LAVA's signals come this way because the kernel never splits a message.
 */
import { closeSync, constants, openSync, readFileSync, readSync } from "node:fs";
import { KERNEL_LOG_POLL_MS, KERNEL_LOG_RECORD_BYTES } from "../limits.ts";
import type { AgentFiles } from "../results/agent-files.ts";

interface KernelLogOptions {
  /** Takes secrets out: the kernel prints the command line. */
  clean: (line: string) => string;
  /** Gets each line without its line end; `isShown`: its level is one that the console shows. */
  onLine: (line: string, isShown: boolean) => void;
  path?: string;
  /** Its first number is the level below which the console shows messages (`quiet`, `loglevel=`). */
  levelPath?: string;
  pollMs?: number;
}

export interface KernelLog {
  /** Reads up to the last message. */
  readNow(): void;
  stop(): void;
}

/** Follows the kernel's log into a file that is written at once, so that it is complete up to the last second before a hang. */
export function keepKernelLog({
  files,
  warn,
  onShownLine,
  ...options
}: Pick<KernelLogOptions, "clean" | "path"> & {
  files: AgentFiles;
  warn(message: string): void;
  onShownLine(line: string): void;
}): KernelLog {
  try {
    const file = files.openLog("kernel.log", (error) => warn(`"kernel.log" is incomplete: ${error.message}`));
    return followKernelLog({
      ...options,
      onLine(line, isShown) {
        file.write(`${line}\n`);
        if (isShown) onShownLine(line);
      },
    });
  } catch (error) {
    warn(`Cannot read the kernel's messages for "kernel.log" and dut.log: ${(error as Error).message}`);
    return { readNow() {}, stop() {} };
  }
}

/** Throws when the log cannot be opened. */
function followKernelLog({ clean, onLine, ...options }: KernelLogOptions): KernelLog {
  const { path = "/dev/kmsg", levelPath = "/proc/sys/kernel/printk", pollMs = KERNEL_LOG_POLL_MS } = options;
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const buffer = Buffer.alloc(KERNEL_LOG_RECORD_BYTES);
  const readNow = () => {
    let shownLevel: number | undefined;
    for (;;) {
      const sizeBytes = readRecord(fd, buffer);
      if (sizeBytes === 0) return;
      if (sizeBytes === undefined) {
        onLine("… messages were overwritten before they were read", true);
        continue;
      }
      shownLevel ??= Number.parseInt(readFileSync(levelPath, "utf8"), 10);
      const { level, lines } = parseKernelRecord(buffer.toString("utf8", 0, sizeBytes));
      for (const line of lines) onLine(clean(line), level < shownLevel);
    }
  };
  const timer = setInterval(readNow, pollMs).unref();
  readNow();
  return {
    readNow,
    stop() {
      clearInterval(timer);
      readNow();
      closeSync(fd);
    },
  };
}

/** 0 at the end; undefined for a record that was overwritten before it was read. */
function readRecord(fd: number, buffer: Buffer): number | undefined {
  try {
    return readSync(fd, buffer);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EAGAIN") return 0;
    if (code === "EPIPE") return undefined;
    throw error;
  }
}

/**
 * `6,339,5140900,-;text`, followed by lines of properties (Documentation/ABI/testing/dev-kmsg), as `[    5.140900] text`. No lines for
 * what is not a record.
 */
export function parseKernelRecord(record: string): { level: number; lines: string[] } {
  const match = /^(\d+),\d+,(\d+),[^;]*;([^\n]*)/.exec(record);
  if (!match) return { level: 0, lines: [] };
  const [, priority, microseconds, text] = match;
  const seconds = (Number(microseconds) / 1e6).toFixed(6).padStart(12);
  // A message of several lines is one record.
  const lines = decodeEscapes(text!).split("\n");
  return { level: Number(priority) & 7, lines: lines.map((line) => `[${seconds}] ${line}`) };
}

/** The kernel escapes what is not printable ASCII, byte by byte. */
function decodeEscapes(text: string): string {
  if (!text.includes("\\x")) return text;
  const bytes = text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, "latin1").toString();
}
