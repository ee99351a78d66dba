/**
 * A file of a stored tree as a node of a file tree: a view of the tree's bytes, 40 bytes of memory where an object with
 * all its texts has 400. What no view can be (directories, which merging changes, and nodes with xattrs) is a node of its own.
 */
import { readDigest } from "../archive/digest-table.ts";
import {
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
import { formatObjectPath } from "./layer-entry.ts";
import { CONTENT_KINDS, FIELDS, readInline, readLinkPath, readSeconds, TYPES } from "./layer-tree-format.ts";

/** By the order of TYPES; a hard link is no inode. */
const TYPE_BITS = [S_IFREG, S_IFDIR, S_IFLNK, 0, S_IFCHR, S_IFBLK, S_IFIFO] as const;
const SYMLINK = TYPES.indexOf("symlink");

/** What a stored tree lends. */
interface TreeBytes {
  readonly bytes: Buffer;
  readonly digests: Buffer;
}

export class StoredNode implements TreeNode {
  readonly #tree: TreeBytes;
  readonly #at: number;

  constructor(tree: TreeBytes, at: number) {
    this.#tree = tree;
    this.#at = at;
  }

  get mode(): number {
    const { bytes } = this.#tree;
    return TYPE_BITS[bytes[this.#at + FIELDS.type]!]! | bytes.readUInt16LE(this.#at + FIELDS.mode);
  }

  get uid(): number {
    return this.#tree.bytes.readUInt32LE(this.#at + FIELDS.uid);
  }

  get gid(): number {
    return this.#tree.bytes.readUInt32LE(this.#at + FIELDS.gid);
  }

  get sizeBytes(): number {
    return this.#tree.bytes.readDoubleLE(this.#at + FIELDS.sizeBytes);
  }

  get mtimeSec(): number | bigint {
    return normalizeSeconds(readSeconds(this.#tree.bytes, this.#at));
  }

  get mtimeNsec(): number {
    return this.#tree.bytes.readUInt32LE(this.#at + FIELDS.nanoseconds);
  }

  get rdev(): number {
    const device = this.#tree.bytes.readUInt32LE(this.#at + FIELDS.device);
    return makeDevice(device >>> 20, device & 0xfffff);
  }

  get payload(): string | undefined {
    const digest = this.verityDigest;
    if (digest !== undefined) return formatObjectPath(digest);
    const { bytes } = this.#tree;
    return bytes[this.#at + FIELDS.type] === SYMLINK ? readLinkPath(bytes, this.#at) : undefined;
  }

  get content(): Buffer | undefined {
    return this.#contentKind === CONTENT_KINDS.inline ? readInline(this.#tree.bytes, this.#at) : undefined;
  }

  get verityDigest(): string | undefined {
    if (this.#contentKind !== CONTENT_KINDS.object) return undefined;
    return readDigest(this.#tree.digests, this.#tree.bytes.readUInt32LE(this.#at + FIELDS.object));
  }

  get nlink(): undefined {
    return undefined;
  }

  get xattrs(): undefined {
    return undefined;
  }

  get children(): undefined {
    return undefined;
  }

  get home(): undefined {
    return undefined;
  }

  get #contentKind(): number {
    return this.#tree.bytes[this.#at + FIELDS.contentKind]!;
  }
}
