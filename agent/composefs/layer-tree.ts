/**
 * What the store keeps of an archive: its members in order and, for each file, its content or the object that holds it.
 * In memory, too, it is the bytes that layer-tree-format.ts describes, 100 for a member besides its names: as objects,
 * 100,000 members would take 50 MB.
 */

import { DIGEST_BYTES, DigestList } from "../archive/digests.ts";
import { enlarge } from "../archive/enlarge.ts";
import type { TarEntry } from "../archive/tar-entry.ts";
import { FIELDS, HEADER_BYTES, MAGIC, StoredMember, writeMember } from "./layer-tree-format.ts";
import type { LayerEntry } from "./merge-layers.ts";

/** A file's content: its bytes if they are few, else its object, by its fs-verity digest in hex. */
export type TreeContent = { inline: Buffer } | { verity: string };

const FIRST_CAPACITY_BYTES = 64 * 1024;

export class LayerTreeWriter {
  #bytes = Buffer.alloc(FIRST_CAPACITY_BYTES);
  #used = HEADER_BYTES;
  #members = 0;
  #objects = 0;
  #contentBytes = 0;
  readonly #digests = new DigestList();

  get members(): number {
    return this.#members;
  }

  /** `content` for files that are not empty: "object" for one whose digest is an argument of `finish`. */
  add(entry: TarEntry, content?: TreeContent | "object"): void {
    let field: Buffer | number | undefined;
    if (typeof content === "object" && "inline" in content) field = content.inline;
    else if (content !== undefined) field = this.#objects++;
    if (typeof content === "object" && "verity" in content) this.#digests.push(content.verity);
    let end = writeMember(this.#bytes, this.#used, entry, field);
    if (end > this.#bytes.length) {
      this.#bytes = enlarge(this.#bytes, this.#used, end);
      end = writeMember(this.#bytes, this.#used, entry, field);
    }
    this.#used = end;
    this.#members++;
    this.#contentBytes += entry.sizeBytes;
  }

  /**
   * `digests` are those of all objects in the order of their members, unless each came with its member. The tree's
   * bytes are the start of their memory, which may be longer; its unused rest was never touched.
   */
  finish(digests: Uint8Array = this.#digests.bytes): LayerTree {
    if (digests.length !== this.#objects * DIGEST_BYTES)
      throw new Error("A layer's tree has objects without digests");
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

/** Undefined for another version of the format. The bytes come from a writer and are as it made them. */
export function readLayerTree(bytes: Buffer): LayerTree | undefined {
  return bytes.subarray(0, MAGIC.length).equals(MAGIC) ? new LayerTree(bytes) : undefined;
}

export class LayerTree {
  readonly bytes: Buffer;
  readonly length: number;
  /** Of all files together. */
  readonly contentBytes: number;
  /** fs-verity digests of the objects, in the order of their members; may contain duplicates. */
  readonly digests: Buffer;

  /** Use `readLayerTree`. */
  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.length = bytes.readUInt32LE(FIELDS.memberCount);
    this.contentBytes = bytes.readDoubleLE(FIELDS.contentBytes);
    this.digests = bytes.subarray(bytes.length - bytes.readUInt32LE(FIELDS.objectCount) * DIGEST_BYTES);
  }

  /** For a merge of layers. Most nodes are views of these bytes. */
  *listEntries(): Generator<LayerEntry> {
    for (const member of this.#members()) yield member.toEntry();
  }

  /** Contents that are in the tree itself; views of it. */
  *listInlineContents(): Generator<Buffer> {
    for (const { content } of this.#members()) if (content !== undefined) yield content;
  }

  *#members(): Generator<StoredMember> {
    for (let at = HEADER_BYTES, left = this.length; left > 0; left--) {
      const member = new StoredMember(this, at);
      yield member;
      at += member.recordBytes;
    }
  }
}
