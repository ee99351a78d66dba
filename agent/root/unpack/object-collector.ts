/**
 * Takes the members of a tar archive apart: contents become staged objects, the rest becomes a tree.
 * Nothing is ever written under a path of the archive, so there is no path to escape by.
 */

import type { TarEntry } from "../../archive/tar-entry.ts";
import type { TarVisitor } from "../../archive/tar-reader.ts";
import { INLINE_FILE_MAX_BYTES } from "../../composefs/layer-entry.ts";
import { LayerTreeWriter } from "../../composefs/layer-tree.ts";
import { FileLane } from "../../kernel/syscalls.ts";
import type { UnpackResult } from "./messages.ts";

export class ObjectCollector implements TarVisitor {
  readonly #stagingDir: string;
  /** Writes and hashes contents beside this thread, which only says where in a chunk they are. */
  readonly #lane: FileLane;
  /** Names objects in the lane's order; the lane knows their digests at the end. */
  readonly #tree = new LayerTreeWriter();
  #chunk: Buffer = Buffer.alloc(0);
  #pieces: number[] = [];
  #entry: TarEntry | undefined;
  #inline: Buffer[] = [];
  #contentBytes = 0;

  constructor(stagingDir: string, options: { takesSha256: boolean }) {
    this.#stagingDir = stagingDir;
    this.#lane = new FileLane(stagingDir, options);
  }

  get files(): number {
    return this.#tree.members;
  }

  /** Before the tar reader gets it: contents are pieces of it, which stay as they are until the lane is done. */
  startChunk(chunk: Buffer): void {
    this.#chunk = chunk;
  }

  endChunk(): void {
    // Also without pieces: the lane's queue is what keeps a chunk's memory from being used again too soon.
    this.#lane.push(this.#chunk, Int32Array.from(this.#pieces));
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

  onEntryEnd(): void {
    const entry = this.#entry!;
    if (this.#isObject()) {
      this.#pieces[this.#pieces.length - 1] = 1;
      this.#tree.add(entry, "object");
    } else if (this.#inline.length === 0) this.#tree.add(entry);
    else this.#tree.add(entry, { inline: Buffer.concat(this.#inline.splice(0)) });
  }

  /** To be called after the last member, with the digest of the whole tar. */
  finish(diffId: string): UnpackResult {
    const { verities, sha256s } = this.#lane.end();
    const tree = this.#tree.finish(verities);
    return {
      files: this.#tree.members,
      contentBytes: this.#contentBytes,
      hasRoot: false,
      isRootOpaque: false,
      impliedDirectories: [],
      warnings: [],
      collected: {
        diffId,
        tree: tree.bytes,
        staged: { folder: this.#stagingDir, verities: tree.digests, sha256s },
      },
    };
  }

  /** After success and failure: from then on nothing is written any more. */
  close(): void {
    this.#lane.close();
  }

  #isObject(): boolean {
    return this.#entry!.sizeBytes > INLINE_FILE_MAX_BYTES;
  }

  #locate(piece: Buffer): number {
    const offset = piece.byteOffset - this.#chunk.byteOffset;
    if (piece.buffer === this.#chunk.buffer && offset >= 0 && offset + piece.length <= this.#chunk.length)
      return offset;
    throw new Error("A piece of a file is not part of the chunk it came with");
  }
}
