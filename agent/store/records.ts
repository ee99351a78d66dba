/**
 * Small files of the store that must be whole or absent: trees, references, tables of contents.
 * Temporary name, data on disk, rename, folder on disk; behind the content its sha256, so that a disk that ages is noticed.
 */
import { hash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type StorePlace, syncFolder } from "./store-place.ts";

const DIGEST_BYTES = 32;

let counter = 0;

/** `name` is one path part made of characters we chose; anything else would be a bug of ours. */
export function putRecord(
  place: StorePlace,
  folder: string,
  name: string,
  content: Uint8Array | string,
): void {
  if (!/^[\w.:-]+$/.test(name)) throw new Error(`Cannot name a record "${name}"`);
  const temporary = join(place.staging, `record-${process.pid}-${counter++}`);
  const fd = openSync(temporary, "wx", 0o600);
  try {
    writeFileSync(fd, content);
    writeFileSync(fd, hash("sha256", content, "buffer"));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, join(folder, name));
  syncFolder(folder);
}

/** A record that is not what was written is dropped, told and as good as absent. */
export function readRecordIfExists(
  { onDamage }: StorePlace,
  folder: string,
  name: string,
): Buffer | undefined {
  const path = join(folder, name);
  const bytes = readFileIfReadable(path);
  if (bytes === undefined) return undefined;
  const content = bytes.subarray(0, Math.max(0, bytes.length - DIGEST_BYTES));
  if (hash("sha256", content, "buffer").equals(bytes.subarray(content.length))) return content;
  rmSync(path, { force: true });
  onDamage(`record ${basename(folder)}/${name}`);
  return undefined;
}

/** Nothing of a file that is not there; no bytes of one that the disk cannot read. */
function readFileIfReadable(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (code === "EIO") return Buffer.alloc(0);
    throw error;
  }
}

export function dropRecord(path: string): void {
  rmSync(path, { force: true });
  syncFolder(dirname(path));
}
