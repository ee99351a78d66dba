/**
 * What the test left in /results, as a list to upload: regular files only, each with its key below the prefix.
 * The test may have written anything there, so links are never followed and odd entries are named, not fetched.
 */
import { type BigIntStats, lstatSync, mkdirSync, readdirSync } from "node:fs";
import { mount } from "../../kernel/syscalls.ts";

/** A file system of its own: a test that fills it must not take what the agent needs to end the machine. */
export function mountResults(path: string): void {
  mkdirSync(path, { recursive: true });
  mount({ source: "dutboot-results", target: path, type: "tmpfs", data: "mode=0755" });
}

/** Where a file's bytes are: below a folder, in an open log that has no name any more, or in memory. */
export type ResultOrigin = { folder: string; path: Buffer } | { fd: number } | { content: Buffer };

/** `name` is the path below the results folder, with `/` between parts. */
export type ResultFile = ResultOrigin & {
  name: string;
  sizeBytes: number;
  /** Another one as soon as somebody writes to it, other than through a mapping. */
  stamp: string;
};

export interface ResultList {
  files: ResultFile[];
  /** Names of links, devices and the like, which are left where they are. */
  leftOut: string[];
}

const SLASH = Buffer.from("/");

/** Sorted by name. What goes away meanwhile is not in it. */
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

/** Bytes that are no UTF-8 as `%XX`: no place for results takes them otherwise. */
function formatName(path: Buffer): string {
  const text = path.toString("utf8");
  if (Buffer.from(text).equals(path)) return text;
  return Array.from(path, (byte) =>
    byte < 0x80 ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase()}`,
  ).join("");
}
