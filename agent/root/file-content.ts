/**
 * Where a file's content is while an archive is put together, and how it is read from there.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { AgentError } from "../errors.ts";
import { READ_CHUNK_BYTES } from "../limits.ts";

/** In memory when small, else in a file of ours, an object or one to become one. */
export type FileContent = { inline: Buffer } | { path: string; verity: string };

export class ContentReader {
  readonly #buffer = Buffer.allocUnsafeSlow(READ_CHUNK_BYTES);

  /** Pieces are good until the next. What a damaged file has too much or too little is the caller's to see. */
  *read(content: FileContent): Generator<Buffer> {
    if ("inline" in content) {
      yield content.inline;
      return;
    }
    const fd = openContent(content.path);
    try {
      for (;;) {
        const bytesRead = readSync(fd, this.#buffer);
        if (bytesRead > 0) yield this.#buffer.subarray(0, bytesRead);
        if (bytesRead < this.#buffer.length) return;
      }
    } finally {
      closeSync(fd);
    }
  }
}

function openContent(path: string): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new AgentError("STORE_OBJECT_LOST", `Cannot read object "${path}": it is not there any more`, {
      cause,
    });
  }
}
