/**
 * Contents of files too small for objects, by their sha256, for partial pulls.
 * On disk: files of records (a length byte, then the content), each written once. All are read at the first look-up.
 */
import { hash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { INLINE_CONTENTS_MAX_BYTES } from "./limits.ts";
import { deleteRecord, nameBatch, putLosableRecord, readRecordIfExists } from "./records.ts";
import type { StoreLayout } from "./store-layout.ts";

export interface InlineContents {
  /** By sha256 in hex. */
  find(sha256: string): Buffer | undefined;
  /** Of at most 255 bytes each. */
  add(contents: Iterable<Buffer>): void;
}

export function openInlineContents(layout: StoreLayout): InlineContents {
  const known = new Map<string, Buffer>();
  let keptBytes = 0;
  let isLoaded = false;

  const load = () => {
    if (isLoaded) return;
    isLoaded = true;
    for (const name of readdirSync(layout.smalls)) {
      const bytes = readRecordIfExists(layout, layout.smalls, name);
      if (bytes === undefined) continue;
      keptBytes += bytes.length;
      for (let at = 0; at < bytes.length; at += 1 + bytes[at]!) {
        const content = bytes.subarray(at + 1, at + 1 + bytes[at]!);
        // A damaged content gets a digest that no archive contains.
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
      // Starting again from nothing costs the next pull some kilobytes.
      if (keptBytes + bytes.length > INLINE_CONTENTS_MAX_BYTES) {
        for (const name of readdirSync(layout.smalls)) deleteRecord(join(layout.smalls, name));
        keptBytes = 0;
      }
      keptBytes += bytes.length;
      putLosableRecord(layout, layout.smalls, nameBatch(), bytes);
    },
  };
}
