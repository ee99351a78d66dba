/**
 * Takes the sha256 of objects whose is not known yet, when somebody is about to ask for files by it (a pull in parts).
 * Nobody does where images come whole, which saves a hash of everything that is unpacked.
 */
import { createHash } from "node:crypto";
import { closeSync, constants, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as takeTurn } from "node:timers/promises";
import { DIGEST_BYTES, DigestList, readDigest } from "../archive/digest-table.ts";
import { READ_CHUNK_BYTES } from "../limits.ts";
import type { DigestIndex } from "./digest-index.ts";
import { pathOfObject, type StoreLayout, tabulateObjects } from "./store-layout.ts";

/** Damage needs no look here: what it makes of a content is a digest that nobody asks for. */
export async function indexObjects(
  place: StoreLayout,
  index: DigestIndex,
): Promise<{ files: number; bytes: number }> {
  const known = index.listVerities();
  const here = tabulateObjects(place).bytes;
  const unknown: string[] = [];
  for (let number = 0; number * DIGEST_BYTES < here.length; number++)
    if (known.find(here, number * DIGEST_BYTES) < 0) unknown.push(readDigest(here, number));
  if (unknown.length === 0) return { files: 0, bytes: 0 };
  const buffer = Buffer.allocUnsafeSlow(READ_CHUNK_BYTES);
  const sha256s = new DigestList();
  const verities = new DigestList();
  let bytes = 0;
  for (const verity of unknown) {
    const fd = openSync(join(place.objects, pathOfObject(verity)), constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const hash = createHash("sha256");
      for (;;) {
        const length = readOrStop(fd, buffer);
        if (length === 0) break;
        hash.update(buffer.subarray(0, length));
        bytes += length;
        // Signals, the console and the network are served in between.
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

/** A disk that cannot be read gives what it gave so far. */
function readOrStop(fd: number, buffer: Buffer): number {
  try {
    return readSync(fd, buffer, 0, buffer.length, null);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EIO") return 0;
    throw error;
  }
}
