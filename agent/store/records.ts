/**
 * Small files of the store that must be complete or absent: trees, references, TOCs. They are written under a temporary
 * name, flushed and renamed; several can share the flushes. The sha256 at a record's end reveals damage on the disk.
 */
import { hash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type StoreLayout, syncFolder } from "./store-layout.ts";

const DIGEST_BYTES = 32;

let counter = 0;

/** A record that was written under its temporary name. */
export interface StagedRecord {
  temporary: string;
  path: string;
}

/** `name` is a single part of a path. */
export function stageRecord(
  layout: StoreLayout,
  folder: string,
  name: string,
  content: Uint8Array | string,
): StagedRecord {
  if (!/^[\w.:-]+$/.test(name)) throw new Error(`Cannot name a record "${name}"`);
  const temporary = join(layout.staging, `record-${process.pid}-${counter++}`);
  const fd = openSync(temporary, "wx", 0o600);
  try {
    writeFileSync(fd, content);
    writeFileSync(fd, hash("sha256", content, "buffer"));
  } finally {
    closeSync(fd);
  }
  return { temporary, path: join(folder, name) };
}

/** To be called when the data is on the disk. The caller flushes the new name. */
export function renameRecord({ temporary, path }: StagedRecord): void {
  renameSync(temporary, path);
}

/** A new name for a record of a list that has several. */
export function nameBatch(): string {
  return `${Date.now().toString(36)}-${process.hrtime.bigint().toString(36)}`;
}

/** The record is on the disk on return. */
export function putRecord(...record: Parameters<typeof stageRecord>): void {
  const staged = stageRecord(...record);
  syncFile(staged.temporary);
  renameRecord(staged);
  syncFolder(dirname(staged.path));
}

/** Without flushes: after a power cut, the record may be absent or be found damaged. */
export function putLosableRecord(...record: Parameters<typeof stageRecord>): void {
  renameRecord(stageRecord(...record));
}

function syncFile(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Deletes and reports a damaged record, and returns undefined. */
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

/** Undefined without the file; empty after a read error. */
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

export function deleteRecord(path: string): void {
  rmSync(path, { force: true });
  syncFolder(dirname(path));
}
