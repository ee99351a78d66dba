/**
 * One entry of a zstd:chunked TOC, in the format of containers/storage. Only the fields that say where contents are get
 * read: owners, modes, times and link targets come from the tar's own headers.
 * Writers leave out fields that are zero or empty; `null` counts as absent.
 */

import { AgentError } from "../../errors.ts";
import { toLatin1 } from "./tar-split.ts";

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

/** A file with content. */
export interface TocFile {
  /** As the archive has it, latin1; in a TOC, bytes that are not UTF-8 are lost. */
  name: string;
  sizeBytes: number;
  /** sha256 (hex) of the content. */
  digest: string;
  /** At least one; they are the content, end to end. */
  chunks: TocChunk[];
}

export type TocRecord =
  | { kind: "file"; file: TocFile }
  /** An entry without content. */
  | { kind: "other" }
  | ({ kind: "chunk"; name: string } & Omit<TocChunk, "endOffset">);

const TYPES: ReadonlySet<string> = new Set(["reg", "hardlink", "char", "block", "dir", "fifo", "symlink"]);
const SHA256 = /^sha256:[0-9a-f]{64}$/;

/** Throws CHUNKED_BAD_TOC. */
export function parseTocEntry(value: unknown): TocRecord {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw badEntry("", "it is not an object");
  const fields = value as Record<string, unknown>;
  const name = toLatin1(readText(fields, "name", ""));
  const type = readText(fields, "type", name);
  if (name.includes("\0")) throw badEntry(name, "its name contains a NUL byte");
  const chunk = {
    offset: readCount(fields, "offset", name),
    fileOffset: readCount(fields, "chunkOffset", name),
    sizeBytes: readCount(fields, "chunkSize", name),
    digest: readDigest(fields, "chunkDigest", name),
    isZeros: readChunkType(fields, name),
  };
  if (type === "chunk") return { kind: "chunk", name, ...chunk };
  if (!TYPES.has(type)) throw badEntry(name, `its type is "${type.slice(0, 40)}"`);
  const sizeBytes = readCount(fields, "size", name);
  const digest = readDigest(fields, "digest", name);
  const endOffset = readCount(fields, "endOffset", name);
  if (type !== "reg" || sizeBytes === 0) return { kind: "other" };
  if (digest === undefined) throw badEntry(name, "it has content but no digest");
  if (chunk.offset === 0 || endOffset <= chunk.offset) throw badEntry(name, "its content has no position");
  if (chunk.fileOffset !== 0) throw badEntry(name, "its first chunk is not at the start of the file");
  return { kind: "file", file: { name, sizeBytes, digest, chunks: [{ ...chunk, endOffset }] } };
}

function readText(fields: Record<string, unknown>, key: string, name: string): string {
  const value = fields[key] ?? "";
  if (typeof value !== "string") throw badEntry(name, `its ${key} is not text`);
  return value;
}

function readCount(fields: Record<string, unknown>, key: string, name: string): number {
  const value = fields[key] ?? 0;
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw badEntry(name, `its ${key} is out of range`);
}

function readDigest(fields: Record<string, unknown>, key: string, name: string): string | undefined {
  const text = readText(fields, key, name);
  if (text === "") return undefined;
  if (!SHA256.test(text)) throw badEntry(name, `its ${key} is not a sha256 digest`);
  return text.slice("sha256:".length);
}

function readChunkType(fields: Record<string, unknown>, name: string): boolean {
  const type = readText(fields, "chunkType", name);
  if (type !== "" && type !== "zeros") throw badEntry(name, `its chunkType is "${type.slice(0, 40)}"`);
  return type === "zeros";
}

function badEntry(name: string, fault: string): AgentError {
  return new AgentError("CHUNKED_BAD_TOC", `Cannot use the entry "${name.slice(0, 200)}": ${fault}`);
}
