/**
 * Writes the missing files of a chunked archive as staged objects, chunk by chunk in any order.
 * A file is reported once its content has the sha256 that the TOC promises.
 */
import { createHash, hash } from "node:crypto";
import { closeSync, ftruncateSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { DigestList } from "../../archive/digests.ts";
import type { TocChunk, TocFile } from "../../archive/zstd-chunked/toc-entry.ts";
import { INLINE_FILE_MAX_BYTES, type StagedObjects } from "../../composefs/object-repository.ts";
import { AgentError } from "../../errors.ts";
import { VerityHasher } from "../../kernel/syscalls.ts";
import { READ_CHUNK_BYTES } from "../../limits.ts";
import type { FileContent } from "./file-content.ts";
import type { KnownChunks } from "./known-chunks.ts";

interface OpenFile {
  file: TocFile;
  path: string;
  fd: number;
  missingChunks: number;
}

export class StagedFiles {
  readonly #verities = new DigestList();
  readonly #sha256s = new DigestList();
  readonly #stagingDir: string;
  readonly #chunks: KnownChunks;
  readonly #onContent: (digest: string, content: FileContent) => void;
  readonly #open = new Map<string, OpenFile>();
  readonly #verity = new VerityHasher();
  #partialFiles = 0;

  constructor(
    stagingDir: string,
    chunks: KnownChunks,
    onContent: (digest: string, content: FileContent) => void,
  ) {
    this.#stagingDir = stagingDir;
    this.#chunks = chunks;
    this.#onContent = onContent;
  }

  get staged(): StagedObjects {
    return { folder: this.#stagingDir, verities: this.#verities.bytes, sha256s: this.#sha256s.bytes };
  }

  /** Adds a file that consists of holes and known chunks only. */
  addIfComplete(file: TocFile): void {
    if (file.chunks.every((chunk) => !this.#isMissing(chunk))) this.#finish(this.#openFile(file));
  }

  /** `bytes` may be reused afterwards. Throws CHUNKED_BAD_FRAME when the digest of the file is wrong. */
  addChunk(file: TocFile, chunk: TocChunk, bytes: Buffer): void {
    if (file.chunks.length === 1) {
      this.#addWhole(file, bytes);
      return;
    }
    const open = this.#open.get(file.digest) ?? this.#openFile(file);
    writeAll(open.fd, bytes, chunk.fileOffset);
    open.missingChunks--;
    if (open.missingChunks > 0) return;
    this.#open.delete(file.digest);
    this.#finish(open);
  }

  close(): void {
    for (const { fd } of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }

  #addWhole(file: TocFile, bytes: Buffer): void {
    checkDigest(file, hash("sha256", bytes));
    if (file.sizeBytes <= INLINE_FILE_MAX_BYTES) {
      this.#onContent(file.digest, { inline: Buffer.from(bytes) });
      return;
    }
    const fd = openSync(this.#nextPath, "wx", 0o600);
    try {
      writeAll(fd, bytes, 0);
    } finally {
      closeSync(fd);
    }
    this.#stage(file, this.#verity.update(bytes).digest());
  }

  /** With its known chunks already written. */
  #openFile(file: TocFile): OpenFile {
    const path = `${this.#stagingDir}/part-${this.#partialFiles++}`;
    const fd = openSync(path, "wx+", 0o600);
    const open = { file, path, fd, missingChunks: 0 };
    this.#open.set(file.digest, open);
    ftruncateSync(fd, file.sizeBytes);
    for (const chunk of file.chunks) {
      if (this.#isMissing(chunk)) open.missingChunks++;
      else if (!chunk.isZeros) writeAll(fd, this.#chunks.read(chunk.digest!), chunk.fileOffset);
    }
    return open;
  }

  #isMissing({ isZeros, digest }: TocChunk): boolean {
    return !isZeros && !this.#chunks.has(digest!);
  }

  /** Reads the file back: its chunks arrived in any order. */
  #finish({ file, path, fd }: OpenFile): void {
    this.#open.delete(file.digest);
    const sha256 = createHash("sha256");
    const buffer = Buffer.allocUnsafe(Math.min(READ_CHUNK_BYTES, file.sizeBytes));
    const small: Buffer[] = [];
    try {
      for (let at = 0; at < file.sizeBytes; ) {
        const bytes = buffer.subarray(0, readSync(fd, buffer, 0, buffer.length, at));
        sha256.update(bytes);
        this.#verity.update(bytes);
        at += bytes.length;
        if (file.sizeBytes <= INLINE_FILE_MAX_BYTES) small.push(Buffer.from(bytes));
      }
    } finally {
      closeSync(fd);
    }
    checkDigest(file, sha256.digest("hex"));
    const verity = this.#verity.digest();
    if (small.length > 0) {
      this.#onContent(file.digest, { inline: Buffer.concat(small) });
      return;
    }
    renameSync(path, this.#nextPath);
    this.#stage(file, verity);
  }

  #stage({ digest }: TocFile, verity: string): void {
    const stagedPath = this.#nextPath;
    this.#verities.push(verity);
    this.#sha256s.push(digest);
    this.#onContent(digest, { verity, stagedPath });
  }

  get #nextPath(): string {
    return `${this.#stagingDir}/${this.#verities.count}`;
  }
}

function checkDigest(file: TocFile, sha256: string): void {
  if (sha256 === file.digest) return;
  throw new AgentError(
    "CHUNKED_BAD_FRAME",
    `Cannot use "${file.name}": its sha256 is "${sha256}", but the table of contents says "${file.digest}"`,
    { context: { expected: file.digest, got: sha256 } },
  );
}

function writeAll(fd: number, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, position + at);
}
