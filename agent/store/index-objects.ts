/**
 * Computes the missing sha256 digests of objects before a partial pull looks files up by them. Full downloads need none,
 * so unpacking does not compute them.
 */

import { createHash } from "node:crypto";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as takeTurn } from "node:timers/promises";
import { DIGEST_BYTES, DigestList, readDigest, tabulateDigests } from "../archive/digests.ts";
import { formatObjectPath } from "../composefs/object-repository.ts";
import { READ_CHUNK_BYTES } from "../limits.ts";
import type { DigestIndex } from "./digest-index.ts";
import { type StoreLayout, tabulateObjects } from "./store-layout.ts";

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
