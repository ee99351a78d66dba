/**
 * Where a file's content is while an archive is put together, and how it is read from there.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { formatObjectPath } from "../../composefs/layer-entry.ts";
import { AgentError } from "../../errors.ts";
import { READ_CHUNK_BYTES } from "../../limits.ts";

/** In memory when small; else an object, or a staged file to become one. */
export type FileContent = { inline: Buffer } | StoredContent;

interface StoredContent {
  verity: string;
  stagedPath?: string;
}

export class ContentReader {
  readonly #objectsDir: string;
  readonly #buffer = Buffer.allocUnsafeSlow(READ_CHUNK_BYTES);

  constructor(objectsDir: string) {
    this.#objectsDir = objectsDir;
  }

  /** Pieces are good until the next. What a damaged file has too much or too little is the caller's to see. */
  *read(content: FileContent): Generator<Buffer> {
    if ("inline" in content) {
      yield content.inline;
      return;
    }
    const fd = this.#open(content);
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

  /** A part of it, as far as it is there. */
  readAt(content: FileContent, offset: number, sizeBytes: number): Buffer {
    if ("inline" in content) return content.inline.subarray(offset, offset + sizeBytes);
    const bytes = Buffer.allocUnsafe(sizeBytes);
    const fd = this.#open(content);
    try {
      return bytes.subarray(0, readSync(fd, bytes, 0, sizeBytes, offset));
    } finally {
      closeSync(fd);
    }
  }

  pathOf({ verity, stagedPath }: StoredContent): string {
    return stagedPath ?? `${this.#objectsDir}/${formatObjectPath(verity)}`;
  }

  #open(content: StoredContent): number {
    try {
      return openSync(this.pathOf(content), "r");
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
      throw new AgentError(
        "STORE_OBJECT_CORRUPT",
        `Cannot read object "${content.verity}": it is not there any more`,
        {
          cause,
        },
      );
    }
  }
}
