/**
 * Files too small for an object, whose content lies in the trees: kept beside them so that a layer in parts finds them.
 * On disk: files of records (a length byte, then the content), each written once and whole; all are read when first asked.
 */
import { hash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { SMALL_CONTENTS_MAX_BYTES } from "./limits.ts";
import { dropRecord, putLosableRecord, readRecordIfExists } from "./records.ts";
import type { StoreLayout } from "./store-layout.ts";

export interface InlineContents {
  /** By sha256 in hex. */
  find(sha256: string): Buffer | undefined;
  /** Of at most 255 bytes each. */
  add(contents: Iterable<Buffer>): void;
}

export function openSmallContents(place: StoreLayout): InlineContents {
  const known = new Map<string, Buffer>();
  let keptBytes = 0;
  let isLoaded = false;

  const load = () => {
    if (isLoaded) return;
    isLoaded = true;
    for (const name of readdirSync(place.smalls)) {
      const bytes = readRecordIfExists(place, place.smalls, name);
      if (bytes === undefined) continue;
      keptBytes += bytes.length;
      for (let at = 0; at < bytes.length; at += 1 + bytes[at]!) {
        const content = bytes.subarray(at + 1, at + 1 + bytes[at]!);
        // By what it is, not by what a record says: a wrong byte makes it another content that nobody asks for.
        known.set(hash("sha256", content), content);
      }
    }
  };

  return {
    find(sha256) {
      load();
      return known.get(sha256);
    },
    add(contents) {
      load();
      const fresh: Buffer[] = [];
      for (const content of contents) {
        const sha256 = hash("sha256", content);
        if (known.has(sha256)) continue;
        known.set(sha256, Buffer.from(content));
        fresh.push(Buffer.of(content.length), content);
      }
      if (fresh.length === 0) return;
      const bytes = Buffer.concat(fresh);
      // They are a saving and no more: starting anew costs some kilobytes at the next pull.
      if (keptBytes + bytes.length > SMALL_CONTENTS_MAX_BYTES) {
        for (const name of readdirSync(place.smalls)) dropRecord(join(place.smalls, name));
        keptBytes = 0;
      }
      keptBytes += bytes.length;
      const name = `${Date.now().toString(36)}-${process.hrtime.bigint().toString(36)}`;
      putLosableRecord(place, place.smalls, name, bytes);
    },
  };
}
