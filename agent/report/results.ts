/**
 * What the test left in /results, as a list to upload: regular files only, each with its key below the prefix.
 * The test may have written anything there, so links are never followed and odd entries are named, not fetched.
 */
import { type Dirent, lstatSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { mount } from "../kernel/syscalls.ts";

/** A file system of its own: a test that fills it must not take what the agent needs to end the machine. */
export function mountResults(path: string): void {
  mkdirSync(path, { recursive: true });
  mount({ source: "dutboot-results", target: path, type: "tmpfs", data: "mode=0755" });
}

/** `name` is the path below the results folder, with `/` between parts. */
export type ResultFile = { name: string; sizeBytes: number } & ({ path: string } | { content: Buffer });

export interface ResultList {
  files: ResultFile[];
  /** Names of links, devices and the like, which are left where they are. */
  leftOut: string[];
}

/** Sorted by name. */
export function listResults(folder: string): ResultList {
  const list: ResultList = { files: [], leftOut: [] };
  collect(folder, "", list);
  return list;
}

function collect(folder: string, prefix: string, list: ResultList): void {
  const entries: Dirent[] = readdirSync(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = prefix + entry.name;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) collect(path, `${name}/`, list);
    else if (entry.isFile()) list.files.push({ name, path, sizeBytes: lstatSync(path).size });
    else list.leftOut.push(name);
  }
}
