/**
 * A log among the results, such as the full log of the boot: every line of the agent and every byte of the test, in the order they were
 * written. Consoles may elide lines, this file does not.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import { FILE_READ_BYTES } from "../../limits.ts";

export class LogFile {
  #path: string;
  #fd: number | undefined;
  readonly #onError: (error: Error) => void;
  #hasFailed = false;
  #lostBytes = 0;

  /**
   * A full file system must not end the test: only the first failed write is reported. Once there is room again the file goes on after
   * a note of how much is missing.
   */
  constructor(path: string, onError: (error: Error) => void) {
    this.#path = path;
    this.#fd = openSync(path, "a+", 0o644);
    this.#onError = onError;
  }

  get path(): string {
    return this.#path;
  }

  /** undefined once the file is closed. */
  get fd(): number | undefined {
    return this.#fd;
  }

  write(content: Buffer | string): void {
    if (this.#fd === undefined) return;
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    let rest = this.#lostBytes > 0 ? Buffer.concat([formatGap(this.#lostBytes), bytes]) : bytes;
    try {
      while (rest.length > 0) rest = rest.subarray(writeSync(this.#fd, rest));
      this.#lostBytes = 0;
    } catch (error) {
      this.#lostBytes += Math.min(rest.length, bytes.length);
      if (!this.#hasFailed) this.#onError(error as Error);
      this.#hasFailed = true;
    }
  }

  /** Goes on in another file, with the last `maxBytes` of this one. When it throws, nothing has changed. */
  moveTo(path: string, { maxBytes }: { maxBytes: number }): void {
    if (this.#fd === undefined) return;
    const next = openSync(path, "a+", 0o644);
    try {
      ftruncateSync(next);
      copyEnd(this.#fd, next, maxBytes);
    } catch (error) {
      closeSync(next);
      throw error;
    }
    closeSync(this.#fd);
    this.#fd = next;
    this.#path = path;
    this.#hasFailed = false;
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

const formatGap = (lostBytes: number) =>
  Buffer.from(`\n… ${lostBytes} bytes are missing here: the file system was full\n`);

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
