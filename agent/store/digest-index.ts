/**
 * Maps a file's sha256, by which archives name it, to its object's fs-verity digest, by which the store names it.
 * On disk: files of 64-byte records (sha256, then fs-verity), each written once. All are read when the index is opened.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DIGEST_BYTES, DigestList, DigestTable, readDigest } from "../archive/digests.ts";
import { deleteRecord, nameBatch, putRecord, readRecordIfExists } from "./records.ts";
import type { StoreLayout } from "./store-layout.ts";

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
