/**
 * Which file of a volume equals which object, so that nothing is transferred twice and the origin of a change is known.
 * Compares sizes, then this boot's own transfers, then the MD5 in the ETag, then times.
 */
import { createHash } from "node:crypto";
import { closeSync, createReadStream } from "node:fs";
import { fingerprintOf, type LocalFile, type LocalTree } from "./local-files.ts";
import type { BucketObject } from "./object-bucket.ts";

export type Difference = "missing" | "same" | "differs";

/** What made both sides equal: this boot's transfer, or something else. */
type Maker = "pull" | "push" | "other";

interface KnownPair {
  fingerprint: string;
  maker: Maker;
  /** The object's, if known. */
  etag: string | undefined;
}

export class MirrorState {
  readonly #known = new Map<string, KnownPair>();
  /** Pairs known to differ, so that a file is not hashed again. */
  readonly #different = new Map<string, string>();
  readonly #tree: LocalTree;
  readonly #hasMd5: boolean;

  /** `hasMd5`: an ETag of 32 hex digits is the content's MD5; false for encrypted objects. */
  constructor(tree: LocalTree, { hasMd5 }: { hasMd5: boolean }) {
    this.#tree = tree;
    this.#hasMd5 = hasMd5;
  }

  /** Records that file and object are equal. */
  pair(file: LocalFile, etag: string | undefined, maker: Maker): void {
    this.#known.set(file.key, { fingerprint: fingerprintOf(file.stats), maker, etag });
  }

  /** An upload has started: an interrupted one may leave an object, which is this boot's own. */
  claim(key: string): void {
    if (!this.#known.has(key)) this.#known.set(key, { fingerprint: "", maker: "push", etag: undefined });
  }

  /** Whether the target has this boot's own copy of an earlier source. */
  isMadeBy(maker: Maker, key: string): boolean {
    return this.#known.get(key)?.maker === maker;
  }

  forget(key: string): void {
    this.#known.delete(key);
  }

  isKnown(key: string): boolean {
    return this.#known.has(key);
  }

  /** Whether the file has not changed since it equalled its object. */
  isUntouched(file: LocalFile): boolean {
    return this.#known.get(file.key)?.fingerprint === fingerprintOf(file.stats);
  }

  /** Whether `target` needs what `source` has. */
  async compare(
    file: LocalFile | undefined,
    object: BucketObject | undefined,
    direction: "pull" | "push",
  ): Promise<Difference> {
    if (!file || !object) return "missing";
    const { key, stats } = file;
    if (stats.size !== BigInt(object.sizeBytes)) return "differs";
    const known = this.#known.get(key);
    const fingerprint = fingerprintOf(stats);
    if (known?.fingerprint === fingerprint) {
      const hasEtag = object.etag !== undefined && known.etag !== undefined;
      if (!hasEtag || known.etag === object.etag) {
        known.etag ??= object.etag;
        return "same";
      }
    }
    const isSame = await this.#looksSame(file, object, direction, fingerprint);
    if (isSame) this.pair(file, object.etag, known?.fingerprint === fingerprint ? known.maker : "other");
    return isSame ? "same" : "differs";
  }

  async #looksSame(
    file: LocalFile,
    object: BucketObject,
    direction: "pull" | "push",
    fingerprint: string,
  ): Promise<boolean> {
    if (this.#hasMd5 && /^[0-9a-f]{32}$/.test(object.etag ?? "")) {
      const pair = `${fingerprint} ${object.etag}`;
      if (this.#different.get(file.key) === pair) return false;
      if ((await this.#hashFile(file.key)) === object.etag) return true;
      this.#different.set(file.key, pair);
      return false;
    }
    // As the MinIO client: the target is outdated when the source is newer.
    if (object.modifiedMs === undefined) return false;
    const fileMs = Number(file.stats.mtimeMs);
    return direction === "push" ? fileMs <= object.modifiedMs : object.modifiedMs <= fileMs;
  }

  async #hashFile(key: string): Promise<string | undefined> {
    const open = this.#tree.openFile(key);
    if (!open) return undefined;
    try {
      const hash = createHash("md5");
      for await (const chunk of createReadStream("", { fd: open.fd, autoClose: false, start: 0 }))
        hash.update(chunk);
      return hash.digest("hex");
    } finally {
      closeSync(open.fd);
    }
  }
}
