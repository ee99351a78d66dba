/**
 * Splits a tar archive: contents of files become staged objects, everything else becomes a tree.
 * Nothing is written under a path of the archive, so no path can escape.
 */

import type { TarEntry } from "../../archive/tar-entry.ts";
import type { TarVisitor } from "../../archive/tar-reader.ts";
import { LayerTreeWriter } from "../../composefs/layer-tree.ts";
import { INLINE_FILE_MAX_BYTES } from "../../composefs/object-repository.ts";
import { FileThread, HOLE_PIECE, LAST_PIECE } from "../../kernel/syscalls.ts";
import type { UnpackResult } from "./messages.ts";

/** The length of a piece has 31 bits. */
const HOLE_MAX_BYTES = 2 ** 30;

export class ObjectCollector implements TarVisitor {
  readonly #stagingDir: string;
  /** Writes and hashes contents, given their positions in a chunk. */
  readonly #thread: FileThread;
  /** Numbers objects in order; the file thread has their digests at the end. */
  readonly #tree = new LayerTreeWriter();
  #chunk: Buffer = Buffer.alloc(0);
  #pieces: number[] = [];
  #entry: TarEntry | undefined;
  #inline: Buffer[] = [];
  #contentBytes = 0;

  constructor(stagingDir: string, options: { takesSha256: boolean }) {
    this.#stagingDir = stagingDir;
    this.#thread = new FileThread(stagingDir, options);
  }

  get files(): number {
    return this.#tree.members;
  }

  /** To be called before the tar reader gets the chunk, of which contents are views. */
  startChunk(chunk: Buffer): void {
    this.#chunk = chunk;
  }

  endChunk(): void {
    // Also without pieces: the queue of the thread bounds when the memory of a chunk is reused.
    this.#thread.push(this.#chunk, Int32Array.from(this.#pieces));
    this.#pieces = [];
  }

  onEntry(entry: TarEntry): void {
    this.#entry = entry;
  }

  onContent(piece: Buffer): void {
    this.#contentBytes += piece.length;
    if (!this.#isObject()) this.#inline.push(Buffer.from(piece));
    else this.#pieces.push(this.#locate(piece), piece.length, 0);
  }

  onHole(sizeBytes: number): void {
    this.#contentBytes += sizeBytes;
    if (!this.#isObject()) this.#inline.push(Buffer.alloc(sizeBytes));
    else
      for (let left = sizeBytes; left > 0; left -= HOLE_MAX_BYTES)
        this.#pieces.push(0, Math.min(left, HOLE_MAX_BYTES), HOLE_PIECE);
  }

  onEntryEnd(): void {
    const entry = this.#entry!;
    if (this.#isObject()) {
      this.#pieces[this.#pieces.length - 1]! |= LAST_PIECE;
      this.#tree.add(entry, "object");
    } else if (this.#inline.length === 0) this.#tree.add(entry);
    else this.#tree.add(entry, { inline: Buffer.concat(this.#inline.splice(0)) });
  }

  /** To be called after the last member, with the digest of the tar. */
  finish(diffId: string): UnpackResult {
    const { verities, sha256s } = this.#thread.end();
    const tree = this.#tree.finish(verities);
    return {
      files: this.#tree.members,
      contentBytes: this.#contentBytes,
      warnings: [],
      collected: {
        diffId,
        tree: tree.bytes,
        staged: { folder: this.#stagingDir, verities: tree.digests, sha256s },
      },
    };
  }

  /** To be called after success and failure; nothing is written afterwards. */
  close(): void {
    this.#thread.close();
  }

  #isObject(): boolean {
    return this.#entry!.sizeBytes > INLINE_FILE_MAX_BYTES;
  }

  #locate(piece: Buffer): number {
    const offset = piece.byteOffset - this.#chunk.byteOffset;
    if (piece.buffer === this.#chunk.buffer && offset >= 0 && offset + piece.length <= this.#chunk.length)
      return offset;
    throw new Error("The content of a file is not a view of its chunk");
  }
}
