/**
 * Maps a file's sha256, by which archives name it, to its object's fs-verity digest, by which the store names it.
 * On disk: files of 64-byte records (sha256, then fs-verity), each written once. All are read when the index is opened.
 */

import { createHash } from "node:crypto";
import { closeSync, constants, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as takeTurn } from "node:timers/promises";
import { DIGEST_BYTES, DigestList, DigestTable, readDigest, tabulateDigests } from "../archive/digests.ts";
import { formatObjectPath } from "../composefs/object-repository.ts";
import { READ_CHUNK_BYTES } from "../limits.ts";
import { deleteRecord, nameBatch, putRecord, readRecordIfExists } from "./records.ts";
import { type StoreLayout, tabulateObjects } from "./store-layout.ts";

export class DigestIndex {
  readonly #layout: StoreLayout;
  #sha256s = new DigestTable();
  /** By the indexes of `#sha256s`. */
  #verities = new DigestList();

  constructor(layout: StoreLayout) {
    this.#layout = layout;
    for (const name of readdirSync(layout.index)) {
      const records = readRecordIfExists(layout, layout.index, name);
      for (let index = 0; index < (records?.length ?? 0) / DIGEST_BYTES; index += 2)
        this.#addPair(records!, index, records!, index + 1);
    }
  }

  /** Of the indexed objects. */
  get verities(): Buffer {
    return this.#verities.bytes;
  }

  /** fs-verity digests for a list of sha256 digests; zeros for those that are not known. */
  find(sha256s: Buffer): Buffer<ArrayBuffer> {
    const found = Buffer.alloc(sha256s.length);
    const { verities } = this;
    for (let index = 0; index < sha256s.length / DIGEST_BYTES; index++) {
      const at = this.#sha256s.find(sha256s, index) * DIGEST_BYTES;
      if (at >= 0) verities.copy(found, index * DIGEST_BYTES, at, at + DIGEST_BYTES);
    }
    return found;
  }

  /** The digests of one object have the same index in both lists. A sha256 that is known keeps its object. */
  add(sha256s: Buffer, verities: Buffer): void {
    const first = this.#sha256s.size;
    for (let index = 0; index < sha256s.length / DIGEST_BYTES; index++)
      this.#addPair(sha256s, index, verities, index);
    if (this.#sha256s.size > first) this.#write(first);
  }

  /** Keeps the pairs whose fs-verity digest (hex) `keep` accepts, in a single file. */
  rewrite(keep: (verity: string) => boolean): void {
    const before = readdirSync(this.#layout.index);
    const [sha256s, verities] = [this.#sha256s.bytes, this.verities];
    this.#sha256s = new DigestTable();
    this.#verities = new DigestList();
    for (let index = 0; index < sha256s.length / DIGEST_BYTES; index++)
      if (keep(readDigest(verities, index))) this.#addPair(sha256s, index, verities, index);
    this.#write(0);
    for (const name of before) deleteRecord(join(this.#layout.index, name));
  }

  #addPair(sha256s: Buffer, sha256: number, verities: Buffer, verity: number): void {
    if (this.#sha256s.add(sha256s, sha256)) this.#verities.append(verities, verity);
  }

  /** Writes the pairs from an index on. */
  #write(first: number): void {
    const records = new DigestList();
    for (let index = first; index < this.#sha256s.size; index++) {
      records.append(this.#sha256s.bytes, index);
      records.append(this.verities, index);
    }
    putRecord(this.#layout, this.#layout.index, nameBatch(), records.bytes);
  }
}

/** Does not check for damage: a damaged object gets a digest that no archive contains. */
export async function indexObjects(
  layout: StoreLayout,
  index: DigestIndex,
): Promise<{ files: number; bytes: number }> {
  const known = tabulateDigests(index.verities);
  const { bytes: here } = tabulateObjects(layout);
  const unknown: string[] = [];
  for (let number = 0; number < here.length / DIGEST_BYTES; number++)
    if (known.find(here, number) < 0) unknown.push(readDigest(here, number));
  if (unknown.length === 0) return { files: 0, bytes: 0 };
  const buffer = Buffer.allocUnsafeSlow(READ_CHUNK_BYTES);
  const sha256s = new DigestList();
  const verities = new DigestList();
  let bytes = 0;
  for (const verity of unknown) {
    const fd = openSync(
      join(layout.objects, formatObjectPath(verity)),
      constants.O_RDONLY | constants.O_NOFOLLOW,
    );
    try {
      const hash = createHash("sha256");
      for (;;) {
        const length = readOrEnd(fd, buffer);
        if (length === 0) break;
        hash.update(buffer.subarray(0, length));
        bytes += length;
        if (length === buffer.length) await takeTurn();
      }
      sha256s.push(hash.digest("hex"));
      verities.push(verity);
    } finally {
      closeSync(fd);
    }
    await takeTurn();
  }
  index.add(sha256s.bytes, verities.bytes);
  return { files: verities.count, bytes };
}

/** 0 after a read error, too. */
function readOrEnd(fd: number, buffer: Buffer): number {
  try {
    return readSync(fd, buffer, 0, buffer.length, null);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EIO") return 0;
    throw error;
  }
}
