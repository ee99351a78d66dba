/**
 * What a volume's mirror knows of both sides: which file is which object, so that nothing is sent twice and nobody's change
 * is taken for another's. Sizes decide first, then what this boot sent or fetched itself, then the MD5 in the ETag, then times.
 */
import { createHash } from "node:crypto";
import { closeSync, createReadStream } from "node:fs";
import { fingerprintOf, type LocalFile, type LocalTree } from "./local-files.ts";
import type { BucketObject } from "./object-bucket.ts";

/** `missing`: the target lacks it. */
export type Difference = "missing" | "same" | "differs";

/** What made the two the same: this boot's own work, or nothing that it saw. */
type Maker = "pull" | "push" | "other";

interface KnownPair {
  fingerprint: string;
  maker: Maker;
  /** Of the object, as far as it was seen since. */
  etag: string | undefined;
}

export class MirrorState {
  readonly #known = new Map<string, KnownPair>();
  /** Pairs that differ, so that a file is not read again to find the same. */
  readonly #different = new Map<string, string>();
  readonly #tree: LocalTree;
  readonly #hasMd5: boolean;

  /** `hasMd5`: ETags of 32 hex digits are the content's MD5, which encryption by the service's own key does not leave. */
  constructor(tree: LocalTree, { hasMd5 }: { hasMd5: boolean }) {
    this.#tree = tree;
    this.#hasMd5 = hasMd5;
  }

  /** File and object are the same from now on. */
  pair(file: LocalFile, etag: string | undefined, maker: Maker): void {
    this.#known.set(file.key, { fingerprint: fingerprintOf(file.stats), maker, etag });
  }

  /** Whether what the target has is this boot's own copy of an earlier source. */
  isMadeBy(maker: Maker, key: string): boolean {
    return this.#known.get(key)?.maker === maker;
  }

  forget(key: string): void {
    this.#known.delete(key);
  }

  isKnown(key: string): boolean {
    return this.#known.has(key);
  }

  /** Whether the file still is as it was when it last was the same as its object. */
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
    // As the MinIO client does: the target is old when the source is younger.
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
