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

/** A full file system must not end a test that runs: the first failed write is told through `onError`, once. */
export function openLogFile(path: string, onError: (error: Error) => void): LogFile {
  let fd: number | undefined = openSync(path, "a", 0o644);
  let failed = false;
  return {
    path,
    get fd() {
      return fd;
    },
    write(bytes) {
      if (failed || fd === undefined) return;
      let rest = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
      try {
        while (rest.length > 0) rest = rest.subarray(writeSync(fd, rest));
      } catch (error) {
        failed = true;
        onError(error as Error);
      }
    },
    close() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}
