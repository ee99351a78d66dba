/**
 * From a file's sha256 to its object's fs-verity digest: archives know the one, the store names objects by the other.
 * On disk: files of 64-byte records (sha256, then fs-verity), each written once and whole; all are read when it is opened.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DIGEST_BYTES, DigestTable, readDigest, tabulateDigests } from "../archive/digest-table.ts";
import { GrowingBytes } from "../archive/growing-bytes.ts";
import { dropRecord, putRecord, readRecordIfExists } from "./records.ts";
import type { StoreLayout } from "./store-layout.ts";

const RECORD_BYTES = 2 * DIGEST_BYTES;

export interface DigestIndex {
  /** fs-verity digests for these sha256 digests, 32 bytes each in both; zeros for those that are not known. */
  find(sha256s: Buffer): Buffer<ArrayBuffer>;
  /** Digests of 32 bytes each, those of one object at the same place in both. */
  add(sha256s: Buffer, verities: Buffer): void;
  /** fs-verity digests of all objects that are found by their sha256. */
  listVerities(): DigestTable;
  /** Writes one file with only the pairs that `keep` accepts, and drops the others. */
  rewrite(keep: (verity: string) => boolean): void;
}

export function openDigestIndex(place: StoreLayout): DigestIndex {
  let pairs = new PairTable();
  for (const name of readdirSync(place.index)) {
    const bytes = readRecordIfExists(place, place.index, name) ?? Buffer.alloc(0);
    for (let at = 0; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
      pairs.set(bytes, at, bytes, at + DIGEST_BYTES);
    }
  }
  /** Of the pairs from a number on. */
  const write = (first: number) => {
    const name = `${Date.now().toString(36)}-${process.hrtime.bigint().toString(36)}`;
    putRecord(place, place.index, name, pairs.encode(first));
    return name;
  };
  return {
    find(sha256s) {
      const verities = Buffer.alloc(sha256s.length);
      for (let at = 0; at < sha256s.length; at += DIGEST_BYTES) pairs.find(sha256s, at, verities);
      return verities;
    },
    listVerities: () => tabulateDigests(pairs.verities),
    add(sha256s, verities) {
      const first = pairs.size;
      for (let at = 0; at < sha256s.length; at += DIGEST_BYTES) pairs.add(sha256s, at, verities, at);
      if (pairs.size > first) write(first);
    },
    rewrite(keep) {
      const before = readdirSync(place.index);
      pairs = pairs.filter(keep);
      const written = write(0);
      for (const name of before) if (name !== written) dropRecord(join(place.index, name));
    },
  };
}

/** Pairs by their sha256, numbered in the order they came. */
class PairTable {
  readonly #sha256s = new DigestTable();
  readonly #verities = new GrowingBytes();

  get size(): number {
    return this.#sha256s.size;
  }

  get verities(): Buffer {
    return this.#verities.bytes;
  }

  /** Puts the object's digest at the same place of `verities`. */
  find(sha256s: Buffer, at: number, verities: Buffer): void {
    const start = this.#sha256s.find(sha256s, at) * DIGEST_BYTES;
    if (start >= 0) this.#verities.room.copy(verities, at, start, start + DIGEST_BYTES);
  }

  /** The last one counts. */
  set(sha256s: Buffer, at: number, verities: Buffer, verityAt: number): void {
    const number = this.#sha256s.add(sha256s, at);
    if (this.#verities.length < this.size * DIGEST_BYTES) this.#verities.reserve(DIGEST_BYTES);
    verities.copy(this.#verities.room, number * DIGEST_BYTES, verityAt, verityAt + DIGEST_BYTES);
  }

  /** The first one counts. */
  add(sha256s: Buffer, at: number, verities: Buffer, verityAt: number): void {
    if (this.#sha256s.find(sha256s, at) < 0) this.set(sha256s, at, verities, verityAt);
  }

  filter(keep: (verity: string) => boolean): PairTable {
    const kept = new PairTable();
    const sha256s = this.#sha256s.bytes;
    for (let at = 0; at < sha256s.length; at += DIGEST_BYTES) {
      if (keep(readDigest(this.verities, at / DIGEST_BYTES))) kept.set(sha256s, at, this.verities, at);
    }
    return kept;
  }

  encode(first: number): Buffer {
    const bytes = Buffer.alloc((this.size - first) * RECORD_BYTES);
    const sha256s = this.#sha256s.bytes;
    for (let number = first, at = 0; number < this.size; number++, at += RECORD_BYTES) {
      sha256s.copy(bytes, at, number * DIGEST_BYTES, (number + 1) * DIGEST_BYTES);
      this.#verities.room.copy(bytes, at + DIGEST_BYTES, number * DIGEST_BYTES, (number + 1) * DIGEST_BYTES);
    }
    return bytes;
  }
}
