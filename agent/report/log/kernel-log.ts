/**
 * The kernel's messages as the console shows them, for readers that are not on the console: /dev/kmsg, from the boot's first one on.
 * Tests write to it too: LAVA's signals come this way because the kernel keeps each of them in one piece.
 */
import { closeSync, constants, openSync, readFileSync, readSync } from "node:fs";
import { KERNEL_LOG_POLL_MS, KERNEL_LOG_RECORD_BYTES } from "../limits.ts";

export interface KernelLogOptions {
  /** Whole lines without their line end. */
  onLine: (line: string) => void;
  path?: string;
  /** Its first number is the level below which messages are shown (`quiet`, `loglevel=`). */
  levelPath?: string;
  /** Whatever the console shows. */
  isWhole?: boolean;
  /** Takes secrets out: the kernel prints the command line. */
  clean?: (line: string) => string;
  pollMs?: number;
}

export interface KernelLogFollower {
  /** Up to the last message that there is. */
  readNow(): void;
  /** Reads what is there now, then no more. */
  stop(): void;
}

const ALL_LEVELS = 8;

/** Throws what opening it does. */
export function followKernelLog(options: KernelLogOptions): KernelLogFollower {
  const { onLine, path = "/dev/kmsg", pollMs = KERNEL_LOG_POLL_MS, isWhole = false } = options;
  const clean = options.clean ?? ((line: string) => line);
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const buffer = Buffer.alloc(KERNEL_LOG_RECORD_BYTES);
  const readAll = () => {
    const shown = isWhole ? ALL_LEVELS : readShownLevel(options.levelPath ?? "/proc/sys/kernel/printk");
    for (;;) {
      const sizeBytes = readRecord(fd, buffer);
      if (sizeBytes === 0) return;
      if (sizeBytes === undefined) {
        onLine("… messages were overwritten before they were read");
        continue;
      }
      for (const line of formatKernelRecord(buffer.toString("utf8", 0, sizeBytes), shown))
        onLine(clean(line));
    }
  };
  const timer = setInterval(readAll, pollMs);
  timer.unref();
  readAll();
  return {
    readNow: readAll,
    stop() {
      clearInterval(timer);
      readAll();
      closeSync(fd);
    },
  };
}

/** 0 for the end; undefined for a record that was overwritten before we came to it. */
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

function readShownLevel(path: string): number {
  return Number.parseInt(readFileSync(path, "utf8"), 10);
}

/** `6,339,5140900,-;text` and lines of properties behind it (Documentation/ABI/testing/dev-kmsg), as `[    5.140900] text`. */
export function formatKernelRecord(record: string, shownLevel: number): string[] {
  const match = /^(\d+),\d+,(\d+),[^;]*;([^\n]*)/.exec(record);
  if (!match) return [];
  const [, priority, microseconds, text] = match;
  if ((Number(priority) & 7) >= shownLevel) return [];
  const seconds = (Number(microseconds) / 1e6).toFixed(6).padStart(12);
  // A message of several lines is one record.
  return decodeEscapes(text!)
    .split("\n")
    .map((line) => `[${seconds}] ${line}`);
}

/** The kernel escapes what is not printable ASCII, byte by byte. */
function decodeEscapes(text: string): string {
  if (!text.includes("\\x")) return text;
  const bytes = text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, "latin1").toString();
}
