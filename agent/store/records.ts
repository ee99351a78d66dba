/**
 * Small files of the store that must be whole or absent: trees, references, tables of contents.
 * Temporary name, data on disk, rename, folder on disk, for many at once where they come together; behind the content its sha256, so that a disk that ages is noticed.
 */
import { hash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type StoreLayout, syncFolder } from "./store-layout.ts";

const DIGEST_BYTES = 32;

let counter = 0;

/** A record that is written and has not got its name yet; it is nothing before. */
export interface StagedRecord {
  temporary: string;
  path: string;
}

/** `name` is one path part made of characters we chose; anything else would be a bug of ours. */
export function stageRecord(
  place: StoreLayout,
  folder: string,
  name: string,
  content: Uint8Array | string,
): StagedRecord {
  if (!/^[\w.:-]+$/.test(name)) throw new Error(`Cannot name a record "${name}"`);
  const temporary = join(place.staging, `record-${process.pid}-${counter++}`);
  const fd = openSync(temporary, "wx", 0o600);
  try {
    writeFileSync(fd, content);
    writeFileSync(fd, hash("sha256", content, "buffer"));
  } finally {
    closeSync(fd);
  }
  return { temporary, path: join(folder, name) };
}

/** Once its data is on the disk; whoever needs the name there flushes after it. */
export function placeRecord({ temporary, path }: StagedRecord): void {
  renameSync(temporary, path);
}

/** On the disk when it returns. */
export function putRecord(...record: Parameters<typeof stageRecord>): void {
  const staged = stageRecord(...record);
  syncFile(staged.temporary);
  placeRecord(staged);
  syncFolder(dirname(staged.path));
}

/** Of what only saves work: a power cut may lose it or spoil it, and its reader sees that. */
export function putLosableRecord(...record: Parameters<typeof stageRecord>): void {
  placeRecord(stageRecord(...record));
}

function syncFile(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** A record that is not what was written is dropped, told and as good as absent. */
export function readRecordIfExists(
  { onDamage }: StoreLayout,
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
