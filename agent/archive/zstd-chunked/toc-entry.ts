/**
 * One entry of a zstd:chunked table of contents, checked field by field.
 * Fields that are zero or empty are left out by the writers, and `null` counts as absent.
 */

import { AgentError } from "../../errors.ts";
import { XATTRS_MAX_BYTES } from "../../limits.ts";
import type { TarEntryType, TarTime } from "../tar-entry.ts";

export interface TocChunk {
  /** Compressed bytes [offset, endOffset) of the blob: one whole zstd frame. */
  offset: number;
  endOffset: number;
  fileOffset: number;
  sizeBytes: number;
  /** sha256 (hex) of the chunk's plain bytes; zeros need none. */
  digest: string | undefined;
  /** All zeros: nothing to fetch. */
  isZeros: boolean;
}

export interface TocEntry {
  type: TarEntryType;
  /** As the archive has it, latin1; bytes that are not UTF-8 have been lost in the table. */
  name: string;
  linkPath: string;
  /** Permission bits alone. */
  mode: number;
  uid: number;
  gid: number;
  sizeBytes: number;
  mtime: TarTime;
  devMajor: number;
  devMinor: number;
  xattrs: ReadonlyMap<string, Buffer>;
  /** sha256 (hex) of a file's content; empty files have none. */
  digest: string | undefined;
  /** Compressed bytes of all chunks; 0 without content. */
  offset: number;
  endOffset: number;
  chunks: TocChunk[];
}

export type TocRecord =
  | { kind: "entry"; entry: TocEntry }
  | {
      kind: "chunk";
      name: string;
      offset: number;
      fileOffset: number;
      sizeBytes: number;
      digest: string | undefined;
      isZeros: boolean;
    };

const TYPES: Readonly<Record<string, TarEntryType>> = {
  reg: "file",
  hardlink: "hardlink",
  char: "char",
  block: "block",
  dir: "directory",
  fifo: "fifo",
  symlink: "symlink",
};
const ID_MAX = 0xfffffffe;
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();
/** RFC 3339 with up to nine digits of a fraction, as Go writes times. */
const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

/** Throws CHUNKED_BAD_TOC. */
export function parseTocEntry(value: unknown): TocRecord {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw badEntry("", "it is no object");
  const fields = value as Record<string, unknown>;
  const name = toLatin1(readText(fields, "name", ""));
  const type = readText(fields, "type", name);
  if (name.includes("\0")) throw badEntry(name, "its name holds a NUL");
  const chunk = {
    offset: readCount(fields, "offset", name),
    fileOffset: readCount(fields, "chunkOffset", name),
    sizeBytes: readCount(fields, "chunkSize", name),
    digest: readDigest(fields, "chunkDigest", name),
    isZeros: readChunkType(fields, name),
  };
  if (type === "chunk") return { kind: "chunk", name, ...chunk };
  const tarType = TYPES[type];
  if (tarType === undefined) throw badEntry(name, `its type is "${type.slice(0, 40)}"`);
  const linkPath = toLatin1(readText(fields, "linkName", name));
  const isLink = tarType === "symlink" || tarType === "hardlink";
  if (isLink && (linkPath === "" || linkPath.includes("\0"))) throw badEntry(name, "it links to nothing");
  const entry: TocEntry = {
    type: tarType,
    name,
    linkPath,
    mode: readCount(fields, "mode", name) % 0o10000,
    uid: readCount(fields, "uid", name, ID_MAX),
    gid: readCount(fields, "gid", name, ID_MAX),
    sizeBytes: tarType === "file" ? readCount(fields, "size", name) : 0,
    mtime: readTime(fields, "modtime", name),
    devMajor: readCount(fields, "devMajor", name, 0xfff),
    devMinor: readCount(fields, "devMinor", name, 0xfffff),
    xattrs: readXattrs(fields, name),
    digest: readDigest(fields, "digest", name),
    offset: 0,
    endOffset: 0,
    chunks: [],
  };
  if (entry.sizeBytes > 0) addFirstChunk(entry, chunk, readCount(fields, "endOffset", name));
  return { kind: "entry", entry };
}

function addFirstChunk(entry: TocEntry, chunk: Omit<TocChunk, "endOffset">, endOffset: number): void {
  if (entry.digest === undefined) throw badEntry(entry.name, "it has content and no digest");
  if (chunk.offset === 0 || endOffset <= chunk.offset) throw badEntry(entry.name, "its content is nowhere");
  if (chunk.fileOffset !== 0) throw badEntry(entry.name, "its first chunk does not begin it");
  entry.offset = chunk.offset;
  entry.endOffset = endOffset;
  entry.chunks.push({ ...chunk, endOffset });
}

function readText(fields: Record<string, unknown>, key: string, name: string): string {
  const value = fields[key] ?? "";
  if (typeof value !== "string") throw badEntry(name, `its ${key} is no text`);
  return value;
}

function readCount(
  fields: Record<string, unknown>,
  key: string,
  name: string,
  max = Number.MAX_SAFE_INTEGER,
): number {
  const value = fields[key] ?? 0;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= max) return value;
  throw badEntry(name, `its ${key} is out of range`);
}

function readDigest(fields: Record<string, unknown>, key: string, name: string): string | undefined {
  const text = readText(fields, key, name);
  if (text === "") return undefined;
  const match = /^sha256:([0-9a-f]{64})$/.exec(text);
  if (match === null) throw badEntry(name, `its ${key} is no sha256 digest`);
  return match[1]!;
}

function readChunkType(fields: Record<string, unknown>, name: string): boolean {
  const type = readText(fields, "chunkType", name);
  if (type !== "" && type !== "zeros") throw badEntry(name, `its chunkType is "${type.slice(0, 40)}"`);
  return type === "zeros";
}

/** Year 1 is how older writers say that there is no time. */
function readTime(fields: Record<string, unknown>, key: string, name: string): TarTime {
  const text = readText(fields, key, name);
  if (text === "" || text.startsWith("0001-01-01T00:00:00")) return { sec: 0, nsec: 0 };
  const match = TIME.exec(text);
  const sec = match === null ? Number.NaN : Date.parse(`${match[1]}${match[3]}`) / 1000;
  if (!Number.isFinite(sec)) throw badEntry(name, `its ${key} is no time`);
  return { sec, nsec: Number((match![2] ?? "").padEnd(9, "0")) };
}

function readXattrs(fields: Record<string, unknown>, name: string): ReadonlyMap<string, Buffer> {
  const value = fields.xattrs ?? undefined;
  if (value === undefined) return NO_XATTRS;
  if (typeof value !== "object" || Array.isArray(value)) throw badEntry(name, "its xattrs are no map");
  const xattrs = new Map<string, Buffer>();
  let bytes = 0;
  for (const [key, encoded] of Object.entries(value as Record<string, unknown>)) {
    if (typeof encoded !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded) || encoded.length % 4 !== 0) {
      throw badEntry(name, "an xattr's value is not base64");
    }
    const plain = Buffer.from(encoded, "base64");
    bytes += key.length + plain.length;
    xattrs.set(toLatin1(key), plain);
  }
  if (bytes > XATTRS_MAX_BYTES) throw badEntry(name, `it has ${bytes} bytes of xattrs`);
  return xattrs;
}

/** The bytes of a JSON text, one character each. */
function toLatin1(text: string): string {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) > 0x7f) return Buffer.from(text, "utf8").toString("latin1");
  }
  return text;
}

function badEntry(name: string, fault: string): AgentError {
  return new AgentError("CHUNKED_BAD_TOC", `Cannot use the entry "${name.slice(0, 200)}": ${fault}`);
}
