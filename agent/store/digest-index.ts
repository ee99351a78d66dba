/**
 * From a file's sha256 to its object's fs-verity digest: archives know the one, the store names objects by the other.
 * On disk: files of 64-byte records (sha256, then fs-verity), each written once and whole; all are read when first asked.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { dropRecord, putRecord, readRecordIfExists } from "./records.ts";
import type { StorePlace } from "./store-place.ts";

const DIGEST_BYTES = 32;
const RECORD_BYTES = 2 * DIGEST_BYTES;

export interface DigestPair {
  /** 64 hex digits, both. */
  sha256: string;
  verity: string;
}

export interface DigestIndex {
  find(sha256: string): string | undefined;
  add(pairs: readonly DigestPair[]): void;
  /** Of all objects that are found by their sha256. */
  listVerities(): Set<string>;
  /** Writes one file with only the pairs that `keep` accepts, and drops the others. */
  rewrite(keep: (verity: string) => boolean): void;
}

export function openDigestIndex(place: StorePlace): DigestIndex {
  const pairs = new Map<string, string>();
  for (const name of readdirSync(place.index)) {
    const bytes = readRecordIfExists(place, place.index, name) ?? Buffer.alloc(0);
    for (let at = 0; at + RECORD_BYTES <= bytes.length; at += RECORD_BYTES) {
      const sha256 = bytes.toString("hex", at, at + DIGEST_BYTES);
      pairs.set(sha256, bytes.toString("hex", at + DIGEST_BYTES, at + RECORD_BYTES));
    }
  }
  const write = (fresh: readonly (readonly [string, string])[]) => {
    const bytes = Buffer.alloc(fresh.length * RECORD_BYTES);
    fresh.forEach(([sha256, verity], index) => {
      bytes.write(sha256, index * RECORD_BYTES, "hex");
      bytes.write(verity, index * RECORD_BYTES + DIGEST_BYTES, "hex");
    });
    const name = `${Date.now().toString(36)}-${process.hrtime.bigint().toString(36)}`;
    putRecord(place, place.index, name, bytes);
    return name;
  };
  return {
    find: (sha256) => pairs.get(sha256),
    listVerities: () => new Set(pairs.values()),
    add(added) {
      const fresh = added.filter(({ sha256 }) => !pairs.has(sha256));
      if (fresh.length === 0) return;
      for (const { sha256, verity } of fresh) pairs.set(sha256, verity);
      write(fresh.map(({ sha256, verity }) => [sha256, verity]));
    },
    rewrite(keep) {
      const before = readdirSync(place.index);
      for (const [sha256, verity] of pairs) if (!keep(verity)) pairs.delete(sha256);
      const written = write([...pairs]);
      for (const name of before) if (name !== written) dropRecord(join(place.index, name));
    },
  };
}
