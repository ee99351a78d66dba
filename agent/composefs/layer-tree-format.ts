/**
 * The bytes of a layer's tree: a header, a record for each member, then the fs-verity digests of their objects.
 * A record has a fixed part, little endian, then path, link target, inline content and what few members have (extras).
 * The magic names the format's version: a reader treats a tree of another version as absent.
 */
import { readDigest } from "../archive/digests.ts";
import type { TarEntry, TarEntryType } from "../archive/tar-entry.ts";
import {
  createNode,
  makeDevice,
  normalizeSeconds,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  type TreeNode,
} from "./file-tree.ts";
import type { LayerEntry } from "./merge-layers.ts";
import { formatObjectPath } from "./object-repository.ts";

export const MAGIC = Buffer.from("dutboot-tree-01\n");
export const HEADER_BYTES = 32;
const MEMBER_BYTES = 56;

/** Offsets of fields: the first three in the header, the others in each record. */
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
  /** Index of the object's digest; 0 for other members. */
  object: 40,
  pathBytes: 44,
  linkBytes: 48,
  inlineBytes: 52,
} as const;

/** A type's index is its number in records. */
const TYPES: readonly TarEntryType[] = ["file", "directory", "symlink", "hardlink", "char", "block", "fifo"];
/** By the same numbers; a hard link is not an inode. */
const TYPE_BITS = [S_IFREG, S_IFDIR, S_IFLNK, 0, S_IFCHR, S_IFBLK, S_IFIFO] as const;
const CONTENT_KINDS = { none: 0, inline: 1, object: 2 } as const;

/**
 * Writes a record at `at` and returns where it ends; if that is beyond the end of `bytes`, nothing was written.
 * `content` are the bytes of a small file, or the index of an object's digest.
 */
export function writeMember(bytes: Buffer, at: number, entry: TarEntry, content?: Buffer | number): number {
  const { path, linkPath } = entry;
  const inline = typeof content === "object" ? content : undefined;
  const extras = encodeExtras(entry);
  const inlineBytes = inline?.length ?? 0;
  const pathAt = at + MEMBER_BYTES;
  const end = pathAt + path.length + linkPath.length + inlineBytes + (extras?.length ?? 0);
  if (end > bytes.length) return end;
  const { sec, nsec } = entry.mtime;
  const kind = inline ? "inline" : content === undefined ? "none" : "object";
  bytes.writeUInt32LE(end - at, at + FIELDS.recordBytes);
  bytes[at + FIELDS.type] = TYPES.indexOf(entry.type);
  bytes[at + FIELDS.contentKind] = CONTENT_KINDS[kind];
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

/** Seconds beyond the safe integers, and xattrs with values in base64. */
interface Extras {
  seconds?: string | undefined;
  xattrs?: [name: string, value: string][];
}

function encodeExtras({ mtime: { sec }, xattrs }: TarEntry): Buffer | undefined {
  if (typeof sec === "number" && xattrs.size === 0) return undefined;
  const extras: Extras = {
    seconds: typeof sec === "bigint" ? String(sec) : undefined,
    xattrs: [...xattrs].map(([name, value]) => [name, value.toString("base64")]),
  };
  return Buffer.from(JSON.stringify(extras));
}

/**
 * A member of a stored tree as a node of a file tree: a view of the tree's bytes, which takes 40 bytes of memory where
 * an object with all its strings takes 400.
 */
export class StoredMember implements TreeNode {
  readonly #tree: { readonly bytes: Buffer; readonly digests: Buffer };
  readonly #at: number;

  constructor(tree: { readonly bytes: Buffer; readonly digests: Buffer }, at: number) {
    this.#tree = tree;
    this.#at = at;
  }

  /** Directories, which a merge changes, and members with extras become nodes of their own. */
  toEntry(): LayerEntry {
    const start = this.#at + MEMBER_BYTES;
    const path = this.#tree.bytes.toString("latin1", start, start + this.#readUInt32(FIELDS.pathBytes));
    const type = this.#type;
    if (type === "hardlink") return { path, linkPath: this.#linkPath };
    const { xattrs = [] } = this.#readExtras() ?? {};
    if (type !== "directory" && xattrs.length === 0) return { path, node: this };
    const node = createNode(this.mode, this);
    if (xattrs.length > 0)
      node.xattrs = new Map(xattrs.map(([name, value]) => [name, Buffer.from(value, "base64")]));
    return { path, node };
  }

  get recordBytes(): number {
    return this.#readUInt32(FIELDS.recordBytes);
  }

  get mode(): number {
    const { bytes } = this.#tree;
    return TYPE_BITS[bytes[this.#at + FIELDS.type]!]! | bytes.readUInt16LE(this.#at + FIELDS.mode);
  }

  get uid(): number {
    return this.#readUInt32(FIELDS.uid);
  }

  get gid(): number {
    return this.#readUInt32(FIELDS.gid);
  }

  get sizeBytes(): number {
    return this.#tree.bytes.readDoubleLE(this.#at + FIELDS.sizeBytes);
  }

  get mtimeSec(): number | bigint {
    const seconds = this.#tree.bytes.readDoubleLE(this.#at + FIELDS.seconds);
    return Number.isNaN(seconds) ? normalizeSeconds(BigInt(this.#readExtras()!.seconds!)) : seconds;
  }

  get mtimeNsec(): number {
    return this.#readUInt32(FIELDS.nanoseconds);
  }

  get rdev(): number {
    const device = this.#readUInt32(FIELDS.device);
    return makeDevice(device >>> 20, device & 0xfffff);
  }

  get payload(): string | undefined {
    const digest = this.verityDigest;
    if (digest !== undefined) return formatObjectPath(digest);
    return this.#type === "symlink" ? this.#linkPath : undefined;
  }

  /** A view. */
  get content(): Buffer | undefined {
    if (this.#tree.bytes[this.#at + FIELDS.contentKind] !== CONTENT_KINDS.inline) return undefined;
    const start = this.#inlineStart;
    return this.#tree.bytes.subarray(start, start + this.#readUInt32(FIELDS.inlineBytes));
  }

  get verityDigest(): string | undefined {
    if (this.#tree.bytes[this.#at + FIELDS.contentKind] !== CONTENT_KINDS.object) return undefined;
    return readDigest(this.#tree.digests, this.#readUInt32(FIELDS.object));
  }

  get #type(): TarEntryType {
    return TYPES[this.#tree.bytes[this.#at + FIELDS.type]!]!;
  }

  get #linkPath(): string {
    const end = this.#inlineStart;
    return this.#tree.bytes.toString("latin1", end - this.#readUInt32(FIELDS.linkBytes), end);
  }

  get #inlineStart(): number {
    const nameBytes = this.#readUInt32(FIELDS.pathBytes) + this.#readUInt32(FIELDS.linkBytes);
    return this.#at + MEMBER_BYTES + nameBytes;
  }

  #readExtras(): Extras | undefined {
    const start = this.#inlineStart + this.#readUInt32(FIELDS.inlineBytes);
    const end = this.#at + this.recordBytes;
    return start === end ? undefined : JSON.parse(this.#tree.bytes.toString("utf8", start, end));
  }

  #readUInt32(field: number): number {
    return this.#tree.bytes.readUInt32LE(this.#at + field);
  }
}
