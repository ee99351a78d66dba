/**
 * Packs files of this host into another initrd archive, which brings credentials and other files to the DUT.
 * Creates parent folders. Only the owner can read the archive.
 */
import { readFile, writeFile } from "node:fs/promises";
import { type CpioEntry, formatCpio } from "../initrd/cpio-writer.ts";
import { UsageError } from "./command.ts";

export interface ExtraFile {
  /** Path on the DUT, with or without a leading slash. */
  path: string;
  content: Buffer;
}

/** Splits `NAME=FILE` at the first `=` and reads the file. `option` is for the error message. */
export async function readNamedFile(option: string, text: string): Promise<ExtraFile> {
  const at = text.indexOf("=");
  if (at < 1) throw new UsageError(`Cannot use --${option} "${text}": expected NAME=FILE`);
  const file = text.slice(at + 1);
  try {
    return { path: text.slice(0, at), content: await readFile(file) };
  } catch (error) {
    throw new UsageError(`Cannot read "${file}" for --${option}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Returns the archive. A later file of the same path wins. The mode is 0600, because most files are secrets. */
export function formatExtraArchive(files: readonly ExtraFile[]): Buffer {
  const contents = new Map(files.map(({ path, content }) => [path.replace(/^\/+/, ""), content]));
  const entries: CpioEntry[] = [...foldersAbove([...contents.keys()])].map((path) => ({
    path,
    type: "directory",
  }));
  for (const [path, content] of contents) entries.push({ path, type: "file", mode: 0o600, content });
  return formatCpio(entries);
}

export async function writeExtraArchive(path: string, files: readonly ExtraFile[]): Promise<void> {
  await writeFile(path, formatExtraArchive(files), { mode: 0o600, flag: "wx" });
}

function foldersAbove(paths: readonly string[]): Set<string> {
  const folders = new Set<string>();
  for (const path of paths) {
    const parts = path.split("/");
    for (let depth = 1; depth < parts.length; depth += 1) folders.add(parts.slice(0, depth).join("/"));
  }
  return folders;
}
