/**
 * Decides the form (compact or extended), the position and the blocks of every inode, by mkcomposefs's rules.
 */

import { chooseChunkBits, countChunks } from "./check-tree.ts";
import {
  BLOCK_BYTES,
  COMPACT_INODE_BYTES,
  DIRENT_BYTES,
  EXTENDED_INODE_BYTES,
  roundUp,
  SLOT_BYTES,
  SUPERBLOCK_BYTES,
  SUPERBLOCK_OFFSET,
} from "./erofs-format.ts";
import type { InodeTable } from "./erofs-inodes.ts";
import { measureXattrArea, XattrList } from "./erofs-xattrs.ts";
import { S_IFLNK, S_IFMT, S_IFREG } from "./file-tree.ts";

/** A longer tail gets a block of its own. */
const MAX_INLINE_TAIL_BYTES = BLOCK_BYTES / 2;
const CHUNK_ADDRESS_BYTES = 4;
const UINT16_MAX = 0xffff;
const UINT32_MAX = 0xffffffff;

/** Addresses by inode number. */
export class ImageLayout {
  readonly positions: Float64Array;
  readonly xattrBytes: Uint32Array;
  /** Bytes right after the inode and its xattrs. */
  readonly tailBytes: Uint16Array;
  readonly blockCounts: Uint32Array;
  readonly firstBlocks: Uint32Array;
  readonly isCompact: Uint8Array;
  /** log2 of an external file's chunk size, else 0. */
  readonly chunkBits: Uint8Array;
  /** Where the shared xattrs start. */
  readonly inodesEnd: number;
  readonly imageBytes: number;
  readonly #table: InodeTable;

  constructor(table: InodeTable) {
    this.#table = table;
    this.positions = new Float64Array(table.count);
    this.xattrBytes = new Uint32Array(table.count);
    this.tailBytes = new Uint16Array(table.count);
    this.blockCounts = new Uint32Array(table.count);
    this.firstBlocks = new Uint32Array(table.count);
    this.isCompact = new Uint8Array(table.count);
    this.chunkBits = new Uint8Array(table.count);

    placeSharedXattrs(table);
    this.inodesEnd = this.#placeInodes();
    let block = roundUp(this.inodesEnd + table.xattrs.sharedBytes, BLOCK_BYTES) / BLOCK_BYTES;
    for (let inode = 0; inode < table.count; inode++) {
      if (this.blockCounts[inode] === 0) continue;
      this.firstBlocks[inode] = block;
      block += this.blockCounts[inode]!;
    }
    this.imageBytes = block * BLOCK_BYTES;
  }

  inodeBytes(inode: number): number {
    return this.isCompact[inode] === 1 ? COMPACT_INODE_BYTES : EXTENDED_INODE_BYTES;
  }

  tailPosition(inode: number): number {
    return this.positions[inode]! + this.inodeBytes(inode) + this.xattrBytes[inode]!;
  }

  sizeOnDisk(inode: number): number {
    const node = this.#table.nodes[inode]!;
    if (node.children !== undefined) return this.blockCounts[inode]! * BLOCK_BYTES + this.tailBytes[inode]!;
    const type = this.#table.modes[inode]! & S_IFMT;
    return type === S_IFREG || type === S_IFLNK ? this.#table.statedSize(inode) : 0;
  }

  #placeInodes(): number {
    const list = new XattrList();
    let position = SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES;
    for (let inode = 0; inode < this.#table.count; inode++) {
      this.#measureData(inode);
      this.isCompact[inode] = this.#fitsCompact(inode) ? 1 : 0;
      this.#table.collectXattrs(inode, list);
      this.xattrBytes[inode] = measureXattrArea(list);
      this.positions[inode] = this.#placeInode(inode, roundUp(position, SLOT_BYTES));
      position = this.tailPosition(inode) + this.tailBytes[inode]!;
    }
    return roundUp(position, SLOT_BYTES);
  }

  #measureData(inode: number): void {
    const node = this.#table.nodes[inode]!;
    const type = this.#table.modes[inode]! & S_IFMT;
    if (node.children !== undefined) {
      this.#measureDirectory(inode);
    } else if (type === S_IFLNK) {
      this.tailBytes[inode] = node.payload!.length;
    } else if (this.#table.isExternal(inode)) {
      this.chunkBits[inode] = chooseChunkBits(node.sizeBytes);
      this.tailBytes[inode] = CHUNK_ADDRESS_BYTES * countChunks(node.sizeBytes);
    } else if (type === S_IFREG && node.content !== undefined) {
      const { length } = node.content;
      this.#splitTail(inode, Math.floor(length / BLOCK_BYTES), length % BLOCK_BYTES);
    }
  }

  #measureDirectory(inode: number): void {
    let blocks = 0;
    let usedBytes = 0;
    for (const name of this.#table.names[inode]!) {
      const bytes = DIRENT_BYTES + name.length;
      if (usedBytes + bytes > BLOCK_BYTES) {
        blocks++;
        usedBytes = 0;
      }
      usedBytes += bytes;
    }
    this.#splitTail(inode, blocks, usedBytes);
  }

  #splitTail(inode: number, blocks: number, tailBytes: number): void {
    const isInline = tailBytes <= MAX_INLINE_TAIL_BYTES;
    this.blockCounts[inode] = isInline ? blocks : blocks + 1;
    this.tailBytes[inode] = isInline ? tailBytes : 0;
  }

  #fitsCompact(inode: number): boolean {
    const table = this.#table;
    const { mtimeSec, mtimeNsec, uid, gid, children } = table.nodes[inode]!;
    if (mtimeSec !== table.minMtimeSec || mtimeNsec !== table.minMtimeNsec) return false;
    if (table.nlinks[inode]! > UINT16_MAX || uid > UINT16_MAX || gid > UINT16_MAX) return false;
    return (children === undefined ? table.statedSize(inode) : this.sizeOnDisk(inode)) <= UINT32_MAX;
  }

  /** Keeps the tail inside one block; may move it to a block of its own. */
  #placeInode(inode: number, position: number): number {
    const headBytes = this.inodeBytes(inode) + this.xattrBytes[inode]!;
    if ((this.#table.modes[inode]! & S_IFMT) === S_IFLNK)
      return this.#placeSymlink(inode, position, headBytes);
    const tailBytes = this.tailBytes[inode]!;
    const room = BLOCK_BYTES - ((position + headBytes) % BLOCK_BYTES);
    if (room >= tailBytes) return position;
    const padded = position + roundUp(room, SLOT_BYTES);
    if (tailBytes <= BLOCK_BYTES - ((padded + headBytes) % BLOCK_BYTES)) return padded;
    this.#moveTail(inode);
    return roundUp(position, BLOCK_BYTES);
  }

  /** Kernels before 6.12 need a symlink's target in the block of its inode (composefs-rs issue 85). */
  #placeSymlink(inode: number, position: number, headBytes: number): number {
    const totalBytes = headBytes + this.tailBytes[inode]!;
    const lastByte = position + totalBytes - 1;
    const crosses = Math.floor(position / BLOCK_BYTES) !== Math.floor(lastByte / BLOCK_BYTES);
    if (totalBytes >= BLOCK_BYTES) this.#moveTail(inode);
    return crosses ? roundUp(position, BLOCK_BYTES) : position;
  }

  #moveTail(inode: number): void {
    this.blockCounts[inode] = this.blockCounts[inode]! + 1;
    this.tailBytes[inode] = 0;
  }
}

function placeSharedXattrs(table: InodeTable): void {
  const list = new XattrList();
  for (let inode = 0; inode < table.count; inode++) {
    table.collectXattrs(inode, list);
    table.xattrs.note(list);
  }
  for (let inode = 0; inode < table.count; inode++) {
    table.collectXattrs(inode, list);
    table.xattrs.count(list);
  }
  table.xattrs.placeShared();
}
