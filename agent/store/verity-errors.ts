/**
 * Finds the kernel's messages about damaged sealed files (fs/verity/verify.c). The kernel limits their rate, so one is a
 * reason to check all objects.
 */
import { closeSync, constants, openSync, readSync } from "node:fs";

/** CONSOLE_EXT_LOG_MAX of the kernel. */
const RECORD_MAX_BYTES = 8192;
const VERITY_ERROR = /fs-verity \(.*\): FILE CORRUPTED!/;

/** Since power-on. False if the kernel log cannot be read. */
export function hasVerityError(path = "/dev/kmsg"): boolean {
  const buffer = Buffer.alloc(RECORD_MAX_BYTES);
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    for (;;) {
      const length = readRecord(fd, buffer);
      if (length === 0) return false;
      if (VERITY_ERROR.test(buffer.toString("latin1", 0, length))) return true;
    }
  } finally {
    closeSync(fd);
  }
}

/** Reads one record; 0 after the last. */
function readRecord(fd: number, buffer: Buffer): number {
  for (;;) {
    try {
      return readSync(fd, buffer);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EAGAIN") return 0;
      // Overwritten before it was read; the next read gets newer records.
      if (code !== "EPIPE") throw error;
    }
  }
}
