/**
 * One entry of the image: its path, content and origin.
 * A part is a group of entries that is compressed separately and cached by its content.
 */
import { readFileSync } from "node:fs";
import type { CpioEntry } from "./cpio-writer.ts";

export interface ImageFile {
  /** Path relative to the image's root. */
  path: string;
  /** Name and version of the source package, or "dutboot". */
  origin: string;
  mode?: number;
  content:
    | { kind: "bytes"; bytes: Buffer }
    | { kind: "symlink"; target: string }
    | { kind: "char"; major: number; minor: number };
}

export interface ImagePart {
  name: string;
  files: ImageFile[];
}

export function fileFromHost(path: string, hostPath: string, origin: string, mode = 0o644): ImageFile {
  return { path, origin, mode, content: { kind: "bytes", bytes: readFileSync(hostPath) } };
}

export function fileFromText(path: string, text: string, origin: string, mode = 0o644): ImageFile {
  return { path, origin, mode, content: { kind: "bytes", bytes: Buffer.from(text) } };
}

export function linkTo(path: string, target: string, origin: string): ImageFile {
  return { path, origin, content: { kind: "symlink", target } };
}

/** Sorts the entries and inserts parent folders. `extraFolders` are added even if they are empty. */
export function toCpioEntries(
  files: readonly ImageFile[],
  extraFolders: readonly string[] = [],
): CpioEntry[] {
  const folders = new Set(extraFolders);
  for (const path of [...files.map(({ path }) => path), ...extraFolders]) {
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1))
      folders.add(path.slice(0, at));
  }
  const entries: CpioEntry[] = [...folders].map((path) => ({ path, type: "directory" }));
  for (const { path, mode, content } of files) {
    const base = { path, mode };
    if (content.kind === "bytes") entries.push({ ...base, type: "file", content: content.bytes });
    else if (content.kind === "symlink") entries.push({ ...base, type: "symlink", linkPath: content.target });
    else entries.push({ ...base, type: "char", device: { major: content.major, minor: content.minor } });
  }
  return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
}
