/**
 * Small files of the store that must be whole or absent: trees, references, tables of contents.
 * Temporary name, data on disk, rename, folder on disk; a reader never sees a half-written one.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type StorePlace, syncFolder } from "./store-place.ts";

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
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, join(folder, name));
  syncFolder(folder);
}

export function readRecordIfExists(folder: string, name: string): Buffer | undefined {
  try {
    return readFileSync(join(folder, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

export function dropRecord(path: string): void {
  rmSync(path, { force: true });
  syncFolder(dirname(path));
}
