/** What lies below a directory, one line a file, with all that a layer can say of it: for comparing trees. */
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { lgetxattr, llistxattr } from "../../../agent/kernel/syscalls.ts";

export interface ListingOptions {
  times?: boolean;
  /** The sha256 of contents in place of their start. */
  hashes?: boolean;
}

export function listTree(root: string, options: ListingOptions = {}): string[] {
  const lines: string[] = [];
  const visit = (path: Buffer, shown: string) => {
    lines.push(`${shown || "/"} ${describe(path, options)}`);
    if (!lstatSync(path).isDirectory()) return;
    const names = readdirSync(path, { encoding: "buffer" }).sort(Buffer.compare);
    for (const name of names) {
      visit(Buffer.concat([path, Buffer.from("/"), name]), `${shown}/${name.toString("latin1")}`);
    }
  };
  visit(Buffer.from(root), "");
  return lines;
}

function describe(path: Buffer, { times, hashes }: ListingOptions): string {
  const stats = lstatSync(path, { bigint: true });
  const facts = [describeType(path, stats), `${stats.uid}:${stats.gid}`];
  if (stats.nlink > 1n && !stats.isDirectory()) facts.push(`links=${stats.nlink}`);
  for (const name of llistxattr(path).sort(Buffer.compare)) {
    facts.push(`${name.toString("latin1")}=${lgetxattr(path, name)!.toString("hex")}`);
  }
  if (times) facts.push(`mtime=${stats.mtimeNs}`);
  if (stats.isFile() && hashes)
    facts.push(`${stats.size} ${createHash("sha256").update(readFileSync(path)).digest("hex")}`);
  else if (stats.isFile()) facts.push(JSON.stringify(readFileSync(path, "latin1").slice(0, 60)));
  return facts.join(" ");
}

function describeType(
  path: Buffer,
  stats: ReturnType<typeof lstatSync> & { mode: bigint; rdev: bigint },
): string {
  const mode = (stats.mode & 0o7777n).toString(8);
  if (stats.isSymbolicLink()) return `-> ${readlinkSync(path, { encoding: "buffer" }).toString("latin1")}`;
  if (stats.isDirectory()) return `dir ${mode}`;
  if (stats.isFIFO()) return `fifo ${mode}`;
  if (stats.isCharacterDevice())
    return stats.rdev === 0n ? "whiteout" : `char ${stats.rdev >> 8n}:${stats.rdev & 0xffn} ${mode}`;
  if (stats.isBlockDevice()) return `block ${stats.rdev >> 8n}:${stats.rdev & 0xffn} ${mode}`;
  return `file ${mode}`;
}
