/**
 * The full log of the boot: every line of the agent and every byte of the test, in the order they came.
 * It lies among the results and is uploaded with them; the console may leave things out, this file does not.
 */
import { closeSync, openSync, writeSync } from "node:fs";

export interface LogFile {
  readonly path: string;
  /** Absent once it is closed. */
  readonly fd: number | undefined;
  write(bytes: Buffer | string): void;
  close(): void;
}

/**
 * A full file system must not end a test that runs: the first failed write is told through `onError`, once. Where there is room
 * again the file goes on, and says how much of it is missing.
 */
export function openLogFile(path: string, onError: (error: Error) => void): LogFile {
  let fd: number | undefined = openSync(path, "a", 0o644);
  let failed = false;
  let lostBytes = 0;
  return {
    path,
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
    close() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}

const formatGap = (lostBytes: number) =>
  Buffer.from(`\n… ${lostBytes} bytes are missing here: there was no room for them\n`);
