/**
 * What the store keeps of an archive: its members in order, and for each file its content or the object that holds it.
 * One JSON line a member, compressed with zstd, so that a tree of 100,000 members is a few megabytes and reads in one go.
 */
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import type { TarEntry, TarTime } from "../archive/tar-entry.ts";
import { createLayerEntry } from "./layer-entry.ts";
import type { LayerEntry } from "./merge-layers.ts";

/** A file's content: its bytes when they are few, else its object, by its fs-verity digest in hex. */
export type TreeContent = { inline: Buffer } | { verity: string };

export interface LayerTreeMember {
  entry: TarEntry;
  /** For files that are not empty. */
  content?: TreeContent;
}

export type LayerTree = LayerTreeMember[];

/** Short keys: there is one line for every file of a system. */
interface MemberRecord {
  p: string;
  t: TarEntry["type"];
  m: number;
  u?: number;
  g?: number;
  s?: number;
  /** Seconds as text where a number would not hold them; then nanoseconds. */
  d: [number | string, number];
  l?: string;
  r?: [number, number];
  x?: [string, string][];
  i?: string;
  v?: string;
}

const LINES_AT_A_TIME = 1000;

export function encodeLayerTree(tree: LayerTree): Buffer {
  // By parts, so that the text is not in memory as lines, as a whole and as bytes.
  const parts: Buffer[] = [];
  for (let at = 0; at < tree.length; at += LINES_AT_A_TIME) {
    const lines = tree.slice(at, at + LINES_AT_A_TIME).map((member) => JSON.stringify(toRecord(member)));
    parts.push(Buffer.from(`${at > 0 ? "\n" : ""}${lines.join("\n")}`));
  }
  return zstdCompressSync(Buffer.concat(parts));
}

/** Reads what `encodeLayerTree` wrote: the store's own bytes, checked before. */
export function decodeLayerTree(bytes: Buffer): LayerTree {
  const text = zstdDecompressSync(bytes);
  const tree: LayerTree = [];
  for (let at = 0; at < text.length; ) {
    const newline = text.indexOf("\n", at);
    const end = newline < 0 ? text.length : newline;
    tree.push(fromRecord(JSON.parse(text.toString("utf8", at, end)) as MemberRecord));
    at = end + 1;
  }
  return tree;
}

/** The objects a tree names, each once, in its order. */
export function listTreeObjects(tree: LayerTree): string[] {
  const objects = new Set<string>();
  for (const { content } of tree) if (content && "verity" in content) objects.add(content.verity);
  return [...objects];
}

/** What a merge of layers takes. */
export function* listLayerEntries(tree: LayerTree): Generator<LayerEntry> {
  for (const { entry, content } of tree) {
    yield createLayerEntry(
      entry,
      content && ("inline" in content ? content : { verityDigest: content.verity }),
    );
  }
}

function toRecord({ entry, content }: LayerTreeMember): MemberRecord {
  const { sec, nsec } = entry.mtime;
  return {
    p: entry.path,
    t: entry.type,
    m: entry.mode,
    ...(entry.uid !== 0 && { u: entry.uid }),
    ...(entry.gid !== 0 && { g: entry.gid }),
    ...(entry.sizeBytes !== 0 && { s: entry.sizeBytes }),
    d: [typeof sec === "bigint" ? String(sec) : sec, nsec],
    ...(entry.linkPath !== "" && { l: entry.linkPath }),
    ...((entry.devMajor !== 0 || entry.devMinor !== 0) && { r: [entry.devMajor, entry.devMinor] }),
    ...(entry.xattrs.size > 0 && {
      x: [...entry.xattrs].map(([name, value]): [string, string] => [name, value.toString("base64")]),
    }),
    ...(content && ("inline" in content ? { i: content.inline.toString("base64") } : { v: content.verity })),
  };
}

const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

function fromRecord(record: MemberRecord): LayerTreeMember {
  const [sec, nsec] = record.d;
  const mtime: TarTime = { sec: typeof sec === "string" ? BigInt(sec) : sec, nsec };
  const entry: TarEntry = {
    path: record.p,
    type: record.t,
    mode: record.m,
    uid: record.u ?? 0,
    gid: record.g ?? 0,
    sizeBytes: record.s ?? 0,
    mtime,
    linkPath: record.l ?? "",
    devMajor: record.r?.[0] ?? 0,
    devMinor: record.r?.[1] ?? 0,
    xattrs: record.x
      ? new Map(record.x.map(([name, value]) => [name, Buffer.from(value, "base64")]))
      : NO_XATTRS,
  };
  if (record.i !== undefined) return { entry, content: { inline: Buffer.from(record.i, "base64") } };
  if (record.v !== undefined) return { entry, content: { verity: record.v } };
  return { entry };
}
