/**
 * What the store keeps of an archive: its members in order, and for each file its content or the object that holds it.
 * It stays the bytes that it is on disk, 100 for a member beside its names, and is read member by member: objects of
 * JavaScript for 100,000 members would be 50 MB. layer-tree-format.ts says where what stands.
 */

import { DIGEST_BYTES, DigestList, readDigest } from "../archive/digest-table.ts";
import { enlarge } from "../archive/growing-bytes.ts";
import type { TarEntry, TarEntryType } from "../archive/tar-entry.ts";
import { createLayerEntry } from "./layer-entry.ts";
import {
  CONTENT_KINDS,
  FIELDS,
  HEADER_BYTES,
  hasExtras,
  MAGIC,
  readInline,
  readLinkPath,
  readPath,
  readSeconds,
  readXattrs,
  TYPES,
  writeMember,
} from "./layer-tree-format.ts";
import type { LayerEntry } from "./merge-layers.ts";
import { StoredNode } from "./stored-node.ts";

/** A file's content: its bytes when they are few, else its object, by its fs-verity digest in hex. */
export type TreeContent = { inline: Buffer } | { verity: string };

export interface LayerTreeMember {
  entry: TarEntry;
  /** For files that are not empty. */
  content?: TreeContent;
}

const FIRST_ROOM_BYTES = 64 * 1024;

/** Takes members one by one and keeps nothing of them but their bytes. */
export class LayerTreeWriter {
  #bytes = Buffer.alloc(FIRST_ROOM_BYTES);
  #used = HEADER_BYTES;
  #members = 0;
  #objects = 0;
  #contentBytes = 0;
  readonly #digests = new DigestList();

  get members(): number {
    return this.#members;
  }

  /** `content` for files that are not empty; an object's digest may be told at the end, for all of them then. */
  add(entry: TarEntry, content?: TreeContent | "object"): void {
    const inline = typeof content === "object" && "inline" in content ? content.inline : undefined;
    const isObject = content !== undefined && inline === undefined;
    if (typeof content === "object" && "verity" in content) this.#digests.push(content.verity);
    const write = () =>
      writeMember(this.#bytes, this.#used, entry, inline ?? (isObject ? this.#objects : undefined));
    let end = write();
    while (end > this.#bytes.length) {
      this.#bytes = enlarge(this.#bytes, this.#used, end);
      end = write();
    }
    this.#used = end;
    this.#members++;
    if (isObject) this.#objects++;
    this.#contentBytes += entry.sizeBytes;
  }

  /**
   * `digests` are those of all objects in the order of their members, unless each came with its member. The tree's bytes
   * begin their memory, which may be longer; what was not used of it costs nothing.
   */
  finish(digests: Uint8Array = this.#digests.bytes): LayerTree {
    if (digests.length !== this.#objects * DIGEST_BYTES)
      throw new Error("A tree names objects without digests");
    const end = this.#used + digests.length;
    if (end > this.#bytes.length) this.#bytes = enlarge(this.#bytes, this.#used, end);
    const bytes = this.#bytes.subarray(0, end);
    bytes.set(digests, this.#used);
    MAGIC.copy(bytes);
    bytes.writeUInt32LE(this.#members, FIELDS.memberCount);
    bytes.writeUInt32LE(this.#objects, FIELDS.objectCount);
    bytes.writeDoubleLE(this.#contentBytes, FIELDS.contentBytes);
    this.#bytes = Buffer.alloc(0);
    return readLayerTree(bytes)!;
  }
}

/** Reads what a writer made, the store's own bytes, checked before; undefined for what is of another form. */
export function readLayerTree(bytes: Buffer): LayerTree | undefined {
  return bytes.subarray(0, MAGIC.length).equals(MAGIC) ? new LayerTree(bytes) : undefined;
}

export class LayerTree {
  readonly bytes: Buffer;
  readonly length: number;
  /** Of all files together. */
  readonly contentBytes: number;
  /** fs-verity digests of its objects, in the order of the members that name them: one that several name, several times. */
  readonly digests: Buffer;

  /** Of checked bytes: see `readLayerTree`. */
  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.length = bytes.readUInt32LE(FIELDS.memberCount);
    this.contentBytes = bytes.readDoubleLE(FIELDS.contentBytes);
    this.digests = bytes.subarray(bytes.length - bytes.readUInt32LE(FIELDS.objectCount) * DIGEST_BYTES);
  }

  /** What a merge of layers takes; nodes of plain files are views of these bytes. */
  *listEntries(): Generator<LayerEntry> {
    for (const at of this.#positions()) {
      const type = this.#typeAt(at);
      const path = readPath(this.bytes, at);
      if (type === "hardlink") yield { path, linkPath: readLinkPath(this.bytes, at) };
      else if (type === "directory" || hasExtras(this.bytes, at)) yield this.#makeEntry(at);
      else yield { path, node: new StoredNode(this, at) };
    }
  }

  /** Contents that lie in the tree itself; views of it. */
  *listSmalls(): Generator<Buffer> {
    for (const at of this.#positions()) {
      if (this.bytes[at + FIELDS.contentKind] === CONTENT_KINDS.inline) yield readInline(this.bytes, at);
    }
  }

  *listMembers(): Generator<LayerTreeMember> {
    for (const at of this.#positions()) yield this.#readMember(at);
  }

  #makeEntry(at: number): LayerEntry {
    const { entry, content } = this.#readMember(at);
    return createLayerEntry(
      entry,
      content && ("inline" in content ? content : { verityDigest: content.verity }),
    );
  }

  #readMember(at: number): LayerTreeMember {
    const { bytes } = this;
    const device = bytes.readUInt32LE(at + FIELDS.device);
    const entry: TarEntry = {
      path: readPath(bytes, at),
      type: this.#typeAt(at),
      mode: bytes.readUInt16LE(at + FIELDS.mode),
      uid: bytes.readUInt32LE(at + FIELDS.uid),
      gid: bytes.readUInt32LE(at + FIELDS.gid),
      sizeBytes: bytes.readDoubleLE(at + FIELDS.sizeBytes),
      mtime: { sec: readSeconds(bytes, at), nsec: bytes.readUInt32LE(at + FIELDS.nanoseconds) },
      linkPath: readLinkPath(bytes, at),
      devMajor: device >>> 20,
      devMinor: device & 0xfffff,
      xattrs: readXattrs(bytes, at),
    };
    const kind = bytes[at + FIELDS.contentKind];
    if (kind === CONTENT_KINDS.inline) return { entry, content: { inline: readInline(bytes, at) } };
    if (kind !== CONTENT_KINDS.object) return { entry };
    const number = bytes.readUInt32LE(at + FIELDS.object);
    return { entry, content: { verity: readDigest(this.digests, number) } };
  }

  #typeAt(at: number): TarEntryType {
    return TYPES[this.bytes[at + FIELDS.type]!]!;
  }

  *#positions(): Generator<number> {
    for (let at = HEADER_BYTES, left = this.length; left > 0; left--) {
      yield at;
      at += this.bytes.readUInt32LE(at + FIELDS.recordBytes);
    }
  }
}
