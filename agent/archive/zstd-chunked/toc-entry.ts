/**
 * One entry of a zstd:chunked table of contents, checked field by field.
 * Fields that are zero or empty are left out by the writers, and `null` counts as absent.
 */

import { AgentError } from "../../errors.ts";
import { XATTRS_MAX_BYTES } from "../../limits.ts";
import type { TarEntryType } from "../tar-entry.ts";
import { toLatin1 } from "./table-names.ts";

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

/** A file with content: all of a table that a pull uses. What the file is called and how it is owned says the tar. */
export interface TocFile {
  /** As the archive has it, latin1; bytes that are not UTF-8 have been lost in the table. */
  name: string;
  sizeBytes: number;
  /** sha256 (hex) of the content. */
  digest: string;
  /** At least one; they are the content, end to end. */
  chunks: TocChunk[];
}

export type TocRecord =
  | { kind: "file"; file: TocFile }
  /** Without content. */
  | { kind: "other"; type: TarEntryType; name: string }
  | ({ kind: "chunk"; name: string } & Omit<TocChunk, "endOffset">);

const TYPES: Readonly<Record<string, TarEntryType>> = {
  reg: "file",
  hardlink: "hardlink",
  char: "char",
  block: "block",
  dir: "directory",
  fifo: "fifo",
  symlink: "symlink",
};
const SHA256 = /^sha256:[0-9a-f]{64}$/;
const ID_MAX = 0xfffffffe;
/** RFC 3339 with up to nine digits of a fraction, as Go writes times. */
const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

/** Throws CHUNKED_BAD_TOC; every field is checked, also those that are not kept. */
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
  checkMetadata(fields, tarType, name);
  const sizeBytes = readCount(fields, "size", name);
  const digest = readDigest(fields, "digest", name);
  const endOffset = readCount(fields, "endOffset", name);
  if (tarType !== "file" || sizeBytes === 0) return { kind: "other", type: tarType, name };
  if (digest === undefined) throw badEntry(name, "it has content and no digest");
  if (chunk.offset === 0 || endOffset <= chunk.offset) throw badEntry(name, "its content is nowhere");
  if (chunk.fileOffset !== 0) throw badEntry(name, "its first chunk does not begin it");
  return { kind: "file", file: { name, sizeBytes, digest, chunks: [{ ...chunk, endOffset }] } };
}

/** The tar's headers say the same, and they are what is believed; but a table that is broken here is broken. */
function checkMetadata(fields: Record<string, unknown>, type: TarEntryType, name: string): void {
  const linkPath = readText(fields, "linkName", name);
  const isLink = type === "symlink" || type === "hardlink";
  if (isLink && (linkPath === "" || linkPath.includes("\0"))) throw badEntry(name, "it links to nothing");
  readCount(fields, "mode", name);
  readCount(fields, "uid", name, ID_MAX);
  readCount(fields, "gid", name, ID_MAX);
  readCount(fields, "devMajor", name, 0xfff);
  readCount(fields, "devMinor", name, 0xfffff);
  for (const key of ["modtime", "accesstime", "changetime"]) checkTime(fields, key, name);
  checkXattrs(fields, name);
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
  if (!SHA256.test(text)) throw badEntry(name, `its ${key} is no sha256 digest`);
  return text.slice("sha256:".length);
}

function readChunkType(fields: Record<string, unknown>, name: string): boolean {
  const type = readText(fields, "chunkType", name);
  if (type !== "" && type !== "zeros") throw badEntry(name, `its chunkType is "${type.slice(0, 40)}"`);
  return type === "zeros";
}

/** The last one that was right: files of one package mostly share theirs. */
let lastTime = "";

function checkTime(fields: Record<string, unknown>, key: string, name: string): void {
  const text = readText(fields, key, name);
  if (text === "" || text === lastTime) return;
  const match = TIME.exec(text);
  if (match === null || !Number.isFinite(Date.parse(`${match[1]}${match[2]}`))) {
    throw badEntry(name, `its ${key} is no time`);
  }
  lastTime = text;
}

function checkXattrs(fields: Record<string, unknown>, name: string): void {
  const value = fields.xattrs ?? {};
  if (typeof value !== "object" || Array.isArray(value)) throw badEntry(name, "its xattrs are no map");
  let bytes = 0;
  for (const [key, encoded] of Object.entries(value as Record<string, unknown>)) {
    if (typeof encoded !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded) || encoded.length % 4 !== 0) {
      throw badEntry(name, "an xattr's value is not base64");
    }
    bytes += key.length + (encoded.length / 4) * 3;
  }
  if (bytes > XATTRS_MAX_BYTES) throw badEntry(name, `it has ${bytes} bytes of xattrs`);
}

function badEntry(name: string, fault: string): AgentError {
  return new AgentError("CHUNKED_BAD_TOC", `Cannot use the entry "${name.slice(0, 200)}": ${fault}`);
}
