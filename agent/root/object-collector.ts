/**
 * Takes the members of a tar archive apart: contents become staged objects, the rest becomes a tree.
 * Nothing is ever written under a path of the archive, so there is no path to escape by.
 */

import { createHash, type Hash } from "node:crypto";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import type { TarEntry } from "../archive/tar-entry.ts";
import type { TarVisitor } from "../archive/tar-reader.ts";
import { FsVerityHasher } from "../composefs/fsverity.ts";
import { INLINE_FILE_MAX_BYTES } from "../composefs/layer-entry.ts";
import { encodeLayerTree, type LayerTree, type TreeContent } from "../composefs/layer-tree.ts";
import type { StagedObject } from "../composefs/object-keeper.ts";
import type { UnpackResult } from "./unpack-job.ts";

/** A file whose content is on its way into an object. */
interface OpenObject {
  fd: number;
  path: string;
  sha256: Hash;
  verity: FsVerityHasher;
}

export class ObjectCollector implements TarVisitor {
  readonly #stagingDir: string;
  readonly #tree: LayerTree = [];
  readonly #staged: StagedObject[] = [];
  readonly #seen = new Set<string>();
  #entry: TarEntry | undefined;
  #inline: Buffer[] = [];
  #object: OpenObject | undefined;
  #contentBytes = 0;

  constructor(stagingDir: string) {
    this.#stagingDir = stagingDir;
  }

  get files(): number {
    return this.#tree.length;
  }

  onEntry(entry: TarEntry): void {
    this.#entry = entry;
    if (entry.sizeBytes > INLINE_FILE_MAX_BYTES) this.#object = this.#openObject();
  }

  onContent(chunk: Buffer): void {
    this.#contentBytes += chunk.length;
    if (!this.#object) {
      this.#inline.push(Buffer.from(chunk));
      return;
    }
    const { fd, sha256, verity } = this.#object;
    sha256.update(chunk);
    verity.update(chunk);
    for (let rest = chunk; rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
  }

  onEntryEnd(): void {
    const entry = this.#entry!;
    const content = this.#object ? this.#finishObject(this.#object, entry) : this.#finishInline();
    this.#tree.push(content ? { entry, content } : { entry });
  }

  /** To be called after the last member, with the digest of the whole tar. */
  finish(diffId: string): UnpackResult {
    return {
      files: this.#tree.length,
      contentBytes: this.#contentBytes,
      hasRoot: false,
      isRootOpaque: false,
      impliedDirectories: [],
      warnings: [],
      collected: { diffId, tree: encodeLayerTree(this.#tree), staged: this.#staged },
    };
  }

  /** Closes what is open, after success and failure. */
  close(): void {
    if (this.#object) closeSync(this.#object.fd);
    this.#object = undefined;
  }

  #openObject(): OpenObject {
    const path = `${this.#stagingDir}/${this.#tree.length}`;
    const fd = openSync(path, "wx", 0o600);
    return { fd, path, sha256: createHash("sha256"), verity: new FsVerityHasher() };
  }

  #finishObject({ fd, path, ...hashes }: OpenObject, { sizeBytes }: TarEntry): TreeContent {
    this.#object = undefined;
    closeSync(fd);
    const verity = hashes.verity.digest().toString("hex");
    const sha256 = hashes.sha256.digest("hex");
    if (this.#seen.has(verity)) rmSync(path);
    else {
      this.#seen.add(verity);
      this.#staged.push({ path, verity, sha256, sizeBytes });
    }
    return { verity, sha256 };
  }

  #finishInline(): TreeContent | undefined {
    if (this.#inline.length === 0) return undefined;
    const inline = Buffer.concat(this.#inline.splice(0));
    return { inline };
  }
}
