/**
 * Lists the regular files that the test left in /results. It may have put anything there: links are not followed, and other entries are
 * only named.
 */
import { type BigIntStats, lstatSync, mkdirSync, readdirSync } from "node:fs";
import { mount } from "../../kernel/syscalls.ts";

/** A separate file system: a test that fills it must not use up what the agent needs to end the machine. */
export function mountResults(path: string): void {
  mkdirSync(path, { recursive: true });
  mount({ source: "dutboot-results", target: path, type: "tmpfs", data: "mode=0755" });
}

/** Bytes below a folder, in an open log that was unlinked, or in memory. */
export type ResultFile = ({ folder: string; path: Buffer } | { fd: number } | { content: Buffer }) & {
  /** The path below the results folder, with `/` between parts. */
  name: string;
  sizeBytes: number;
  /** Changes with every write to the file, except through a mapping. */
  stamp: string;
};

export interface ResultList {
  files: ResultFile[];
  /** Names of links, devices and the like. */
  leftOut: string[];
}

const SLASH = Buffer.from("/");

/** Sorted by name, without what is removed meanwhile. */
export function listResults(folder: string): ResultList {
  const list: ResultList = { files: [], leftOut: [] };
  collect(folder, Buffer.alloc(0), list);
  list.files.sort((a, b) => (a.name < b.name ? -1 : 1));
  return list;
}

function collect(folder: string, below: Buffer, list: ResultList): void {
  const root = Buffer.from(folder);
  for (const entry of readFolder(Buffer.concat([root, SLASH, below]))) {
    const path = Buffer.concat([below, entry]);
    const stats = lstatSync(Buffer.concat([root, SLASH, path]), { bigint: true, throwIfNoEntry: false });
    if (!stats) continue;
    const name = formatName(path);
    if (stats.isDirectory()) collect(folder, Buffer.concat([path, SLASH]), list);
    else if (!stats.isFile()) list.leftOut.push(name);
    else list.files.push({ name, folder, path, sizeBytes: Number(stats.size), stamp: formatStamp(stats) });
  }
}

function readFolder(path: Buffer): Buffer[] {
  try {
    return readdirSync(path, { encoding: "buffer" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

export const formatStamp = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats) =>
  [dev, ino, size, mtimeNs, ctimeNs].join(":");

/** With `%XX` for invalid UTF-8, which no results server accepts. */
function formatName(path: Buffer): string {
  const text = path.toString("utf8");
  if (Buffer.from(text).equals(path)) return text;
  return Array.from(path, (byte) =>
    byte < 0x80 ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase()}`,
  ).join("");
}
