/**
 * What the kernel said of sealed files that are not any more what they were: fs-verity, fs/verity/verify.c.
 * It limits how many such lines it writes, so that one is a reason to look at everything.
 */
import { closeSync, constants, openSync, readSync } from "node:fs";

/** A record of /dev/kmsg is never longer. */
const RECORD_MAX_BYTES = 8192;
const COMPLAINT = /fs-verity \(.*\): FILE CORRUPTED!/;

/** Records since power-on. A kernel log that cannot be read says nothing. */
export function hasVerityComplaint(path = "/dev/kmsg"): boolean {
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
      if (COMPLAINT.test(buffer.toString("latin1", 0, length))) return true;
    }
  } finally {
    closeSync(fd);
  }
}

/** One record; 0 when there is no more. */
function readRecord(fd: number, buffer: Buffer): number {
  for (;;) {
    try {
      return readSync(fd, buffer);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EAGAIN") return 0;
      // Overwritten by newer ones before it was read: the next read goes on with those.
      if (code !== "EPIPE") throw error;
    }
  }
}
