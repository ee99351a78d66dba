/**
 * Takes the members of a tar archive apart: contents become staged objects, the rest becomes a tree.
 * Nothing is ever written under a path of the archive, so there is no path to escape by.
 */

import { rmSync } from "node:fs";
import type { TarEntry } from "../archive/tar-entry.ts";
import type { TarVisitor } from "../archive/tar-reader.ts";
import { INLINE_FILE_MAX_BYTES } from "../composefs/layer-entry.ts";
import { encodeLayerTree, type LayerTree, type TreeContent } from "../composefs/layer-tree.ts";
import type { StagedObject } from "../composefs/object-keeper.ts";
import { FileLane } from "../kernel/syscalls.ts";
import type { UnpackResult } from "./unpack-job.ts";

type ObjectContent = Extract<TreeContent, { verity: string }>;

export class ObjectCollector implements TarVisitor {
  readonly #stagingDir: string;
  /** Writes and hashes contents beside this thread, which only says where in a chunk they are. */
  readonly #lane: FileLane;
  readonly #tree: LayerTree = [];
  /** In the lane's order; the lane knows their digests at the end. */
  readonly #objects: { content: ObjectContent; sizeBytes: number }[] = [];
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
    return this.#tree.length;
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
      const content = { verity: "" };
      this.#objects.push({ content, sizeBytes: entry.sizeBytes });
      this.#tree.push({ entry, content });
    } else if (this.#inline.length === 0) this.#tree.push({ entry });
    else this.#tree.push({ entry, content: { inline: Buffer.concat(this.#inline.splice(0)) } });
  }

  /** To be called after the last member, with the digest of the whole tar. */
  finish(diffId: string): UnpackResult {
    const staged = this.#takeObjects();
    return {
      files: this.#tree.length,
      contentBytes: this.#contentBytes,
      hasRoot: false,
      isRootOpaque: false,
      impliedDirectories: [],
      warnings: [],
      collected: { diffId, tree: encodeLayerTree(this.#tree), staged },
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

  #takeObjects(): StagedObject[] {
    const staged: StagedObject[] = [];
    const seen = new Set<string>();
    const files = this.#lane.end();
    if (files.length !== this.#objects.length) throw new Error("Objects were lost on their way to the disk");
    for (const [index, file] of files.entries()) {
      const { verity } = file;
      const { content, sizeBytes } = this.#objects[index]!;
      content.verity = verity;
      const path = `${this.#stagingDir}/${index}`;
      if (seen.has(verity)) rmSync(path);
      else {
        seen.add(verity);
        staged.push({ path, ...file, sizeBytes });
      }
    }
    return staged;
  }
}
