/**
 * The bytes of a layer's tree: a header, a record for each member, then the fs-verity digests of the objects they name.
 * A record is a fixed part, little endian, and behind it path, link, inline content and what few members have. The form
 * has its version in its first bytes; a reader of another one takes the tree for absent.
 */
import type { TarEntry, TarEntryType } from "../archive/tar-entry.ts";

export const MAGIC = Buffer.from("dutboot-tree-01\n");
export const HEADER_BYTES = 32;
const MEMBER_BYTES = 56;

/** Where fields stand: the first three in the header, the others in each record. */
export const FIELDS = {
  memberCount: 16,
  objectCount: 20,
  contentBytes: 24,

  recordBytes: 0,
  type: 4,
  contentKind: 5,
  mode: 6,
  uid: 8,
  gid: 12,
  seconds: 16,
  nanoseconds: 24,
  sizeBytes: 28,
  device: 36,
  /** The object's number; for other members 0. */
  object: 40,
  pathBytes: 44,
  linkBytes: 48,
  inlineBytes: 52,
} as const;

export const TYPES: readonly TarEntryType[] = [
  "file",
  "directory",
  "symlink",
  "hardlink",
  "char",
  "block",
  "fifo",
];
export const CONTENT_KINDS = { none: 0, inline: 1, object: 2 } as const;
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

/**
 * Writes a record at `at` and gives where it ends; where that is behind the end of `bytes`, nothing was written.
 * `content` are the bytes of a small file, or the number of an object.
 */
export function writeMember(bytes: Buffer, at: number, entry: TarEntry, content?: Buffer | number): number {
  const { path, linkPath } = entry;
  const inline = typeof content === "object" ? content : undefined;
  const extras = needsExtras(entry) ? encodeExtras(entry) : undefined;
  const inlineBytes = inline?.length ?? 0;
  const pathAt = at + MEMBER_BYTES;
  const end = pathAt + path.length + linkPath.length + inlineBytes + (extras?.length ?? 0);
  if (end > bytes.length) return end;
  const { sec, nsec } = entry.mtime;
  bytes.writeUInt32LE(end - at, at + FIELDS.recordBytes);
  bytes[at + FIELDS.type] = TYPES.indexOf(entry.type);
  bytes[at + FIELDS.contentKind] =
    content === undefined
      ? CONTENT_KINDS.none
      : inline === undefined
        ? CONTENT_KINDS.object
        : CONTENT_KINDS.inline;
  bytes.writeUInt16LE(entry.mode, at + FIELDS.mode);
  bytes.writeUInt32LE(entry.uid, at + FIELDS.uid);
  bytes.writeUInt32LE(entry.gid, at + FIELDS.gid);
  bytes.writeDoubleLE(typeof sec === "number" ? sec : Number.NaN, at + FIELDS.seconds);
  bytes.writeUInt32LE(nsec, at + FIELDS.nanoseconds);
  bytes.writeDoubleLE(entry.sizeBytes, at + FIELDS.sizeBytes);
  bytes.writeUInt32LE(((entry.devMajor << 20) | entry.devMinor) >>> 0, at + FIELDS.device);
  bytes.writeUInt32LE(typeof content === "number" ? content : 0, at + FIELDS.object);
  bytes.writeUInt32LE(path.length, at + FIELDS.pathBytes);
  bytes.writeUInt32LE(linkPath.length, at + FIELDS.linkBytes);
  bytes.writeUInt32LE(inlineBytes, at + FIELDS.inlineBytes);
  bytes.write(path, pathAt, "latin1");
  if (linkPath !== "") bytes.write(linkPath, pathAt + path.length, "latin1");
  inline?.copy(bytes, pathAt + path.length + linkPath.length);
  extras?.copy(bytes, end - extras.length);
  return end;
}

/** Seconds beyond what a number holds, and xattrs. */
interface Extras {
  seconds?: string;
  /** Values in base64. */
  xattrs?: [name: string, value: string][];
}

function needsExtras({ mtime, xattrs }: TarEntry): boolean {
  return typeof mtime.sec === "bigint" || xattrs.size > 0;
}

function encodeExtras({ mtime, xattrs }: TarEntry): Buffer {
  const extras: Extras = {
    ...(typeof mtime.sec === "bigint" && { seconds: String(mtime.sec) }),
    xattrs: [...xattrs].map(([name, value]) => [name, value.toString("base64")]),
  };
  return Buffer.from(JSON.stringify(extras));
}

export function hasExtras(bytes: Buffer, at: number): boolean {
  return startOfExtras(bytes, at) < at + bytes.readUInt32LE(at + FIELDS.recordBytes);
}

function readExtras(bytes: Buffer, at: number): Extras {
  const end = at + bytes.readUInt32LE(at + FIELDS.recordBytes);
  return JSON.parse(bytes.toString("utf8", startOfExtras(bytes, at), end)) as Extras;
}

function startOfExtras(bytes: Buffer, at: number): number {
  return startOfInline(bytes, at) + bytes.readUInt32LE(at + FIELDS.inlineBytes);
}

function startOfInline(bytes: Buffer, at: number): number {
  const beforeIt = bytes.readUInt32LE(at + FIELDS.pathBytes) + bytes.readUInt32LE(at + FIELDS.linkBytes);
  return at + MEMBER_BYTES + beforeIt;
}

export function readPath(bytes: Buffer, at: number): string {
  const start = at + MEMBER_BYTES;
  return bytes.toString("latin1", start, start + bytes.readUInt32LE(at + FIELDS.pathBytes));
}

export function readLinkPath(bytes: Buffer, at: number): string {
  const end = startOfInline(bytes, at);
  return bytes.toString("latin1", end - bytes.readUInt32LE(at + FIELDS.linkBytes), end);
}

/** A view. */
export function readInline(bytes: Buffer, at: number): Buffer {
  const start = startOfInline(bytes, at);
  return bytes.subarray(start, start + bytes.readUInt32LE(at + FIELDS.inlineBytes));
}

export function readSeconds(bytes: Buffer, at: number): number | bigint {
  const seconds = bytes.readDoubleLE(at + FIELDS.seconds);
  return Number.isNaN(seconds) ? BigInt(readExtras(bytes, at).seconds!) : seconds;
}

export function readXattrs(bytes: Buffer, at: number): ReadonlyMap<string, Buffer> {
  const { xattrs = [] } = hasExtras(bytes, at) ? readExtras(bytes, at) : {};
  if (xattrs.length === 0) return NO_XATTRS;
  return new Map(xattrs.map(([name, value]) => [name, Buffer.from(value, "base64")]));
}
