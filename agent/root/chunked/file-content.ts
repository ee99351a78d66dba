/**
 * Where the content of a file is while an archive is rebuilt, and how it is read.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { formatObjectPath } from "../../composefs/object-repository.ts";
import { AgentError } from "../../errors.ts";
import { READ_CHUNK_BYTES } from "../../limits.ts";

/** In memory when small; else an object of the store, or a staged file that will become one. */
export type FileContent = { inline: Buffer } | StoredContent;

export interface StoredContent {
  verity: string;
  stagedPath?: string;
}

export class ContentReader {
  readonly #objectsDir: string;
  readonly #buffer: Buffer = Buffer.allocUnsafeSlow(READ_CHUNK_BYTES);

  constructor(objectsDir: string) {
    this.#objectsDir = objectsDir;
  }

  /**
   * Each piece is read into what `buffer` returns, if it is not in memory, and valid until the next one. The caller checks the
   * size. Throws STORE_OBJECT_CORRUPT.
   */
  *read(content: FileContent, buffer = () => this.#buffer): Generator<Buffer> {
    if ("inline" in content) {
      yield content.inline;
      return;
    }
    const fd = this.#open(content);
    try {
      for (;;) {
        const space = buffer();
        const bytesRead = read(content, () => readSync(fd, space));
        if (bytesRead > 0) yield space.subarray(0, bytesRead);
        if (bytesRead < space.length) return;
      }
    } finally {
      closeSync(fd);
    }
  }

  /** At most `sizeBytes` from `offset`, fewer at the end of the content. Throws STORE_OBJECT_CORRUPT. */
  readAt(content: FileContent, offset: number, sizeBytes: number): Buffer {
    if ("inline" in content) return content.inline.subarray(offset, offset + sizeBytes);
    const bytes = Buffer.allocUnsafe(sizeBytes);
    const fd = this.#open(content);
    try {
      return bytes.subarray(
        0,
        read(content, () => readSync(fd, bytes, 0, sizeBytes, offset)),
      );
    } finally {
      closeSync(fd);
    }
  }

  pathOf({ verity, stagedPath }: StoredContent): string {
    return stagedPath ?? `${this.#objectsDir}/${formatObjectPath(verity)}`;
  }

  /** Throws STORE_OBJECT_CORRUPT when the object is missing. */
  #open(content: StoredContent): number {
    return read(content, () => openSync(this.pathOf(content), "r"));
  }
}

/** A missing object, or one whose blocks do not match its seal (EIO). */
function read<T>(content: StoredContent, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") throw damaged(content, "it no longer exists", cause);
    if (code === "EIO") throw damaged(content, "its bytes are damaged", cause);
    throw cause;
  }
}

function damaged({ verity }: StoredContent, why: string, cause?: unknown): AgentError {
  return new AgentError("STORE_OBJECT_CORRUPT", `Cannot read object "${verity}": ${why}`, { cause });
}
