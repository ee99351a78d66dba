/**
 * The full log of the boot: every line of the agent and every byte of the test, in the order they came.
 * It lies among the results and is uploaded with them; the console may leave things out, this file does not.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { FILE_READ_BYTES } from "../../limits.ts";

export interface LogFile {
  readonly path: string;
  /** Absent once it is closed. */
  readonly fd: number | undefined;
  write(bytes: Buffer | string): void;
  /** Goes on in another file, with the last `maxBytes` of this one. Throws what opening and filling it does; then nothing has changed. */
  moveTo(path: string, options: { maxBytes: number }): void;
  close(): void;
}

/**
 * A full file system must not end a test that runs: the first failed write is told through `onError`, once. Where there is room
 * again the file goes on, and says how much of it is missing.
 */
export function openLogFile(path: string, onError: (error: Error) => void): LogFile {
  let at = path;
  let fd: number | undefined = openSync(path, "a+", 0o644);
  let failed = false;
  let lostBytes = 0;
  return {
    get path() {
      return at;
    },
    get fd() {
      return fd;
    },
    write(bytes) {
      if (fd === undefined) return;
      const whole = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
      let rest = lostBytes > 0 ? Buffer.concat([formatGap(lostBytes), whole]) : whole;
      try {
        while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
        lostBytes = 0;
      } catch (error) {
        lostBytes += Math.min(rest.length, whole.length);
        if (!failed) onError(error as Error);
        failed = true;
      }
    },
    moveTo(to, { maxBytes }) {
      if (fd === undefined) return;
      const next = openSync(to, "a+", 0o644);
      try {
        ftruncateSync(next);
        copyEnd(fd, next, maxBytes);
      } catch (error) {
        closeSync(next);
        throw error;
      }
      closeSync(fd);
      fd = next;
      at = to;
      failed = false;
    },
    close() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}

const formatGap = (lostBytes: number) =>
  Buffer.from(`\n… ${lostBytes} bytes are missing here: there was no room for them\n`);

function copyEnd(from: number, to: number, maxBytes: number): void {
  const { size } = fstatSync(from);
  const buffer = Buffer.allocUnsafe(FILE_READ_BYTES);
  for (let at = Math.max(0, size - maxBytes); at < size; ) {
    const sizeBytes = readSync(from, buffer, 0, buffer.length, at);
    if (sizeBytes === 0) return;
    for (let rest = buffer.subarray(0, sizeBytes); rest.length > 0; )
      rest = rest.subarray(writeSync(to, rest));
    at += sizeBytes;
  }
}
