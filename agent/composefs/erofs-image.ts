/**
 * Writes a file tree as a composefs image: an EROFS file system whose files point to objects by overlayfs xattrs.
 * It is the same, bit for bit, as that of mkcomposefs 1.0.8 (format versions 0 and 1), so digests are comparable.
 */
import {
  BLOCK_BYTES,
  DIRENT_BYTES,
  ErofsImageBuffer,
  LAYOUT_CHUNK_BASED,
  LAYOUT_FLAT_INLINE,
  LAYOUT_FLAT_PLAIN,
  NULL_BLOCK,
  SLOT_BYTES,
  SUPERBLOCK_OFFSET,
  XATTR_IBODY_HEADER_BYTES,
} from "./erofs-format.ts";
import { InodeTable } from "./erofs-inodes.ts";
import { ImageLayout } from "./erofs-layout.ts";
import { writeXattrArea, XattrList } from "./erofs-xattrs.ts";
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  type TreeNode,
} from "./file-tree.ts";

const COMPOSEFS_MAGIC = 0xd078629a;
const COMPOSEFS_HEADER_VERSION = 1;
const HAS_ACL_FLAG = 1;
const EROFS_MAGIC = 0xe0f5e1e2;
/** MTIME and XATTR_FILTER. */
const FEATURE_COMPAT = 2 | 4;
const LOG2_BLOCK_BYTES = 12;

/** `auto`: 1 for a tree with whiteouts, else 0, as mkcomposefs does without version options. */
export type FormatVersion = 0 | 1 | "auto";
const DEFAULT_FORMAT_VERSION = 1;

export interface ImageOptions {
  formatVersion?: FormatVersion;
}

/** The size is a multiple of 4096. Throws COMPOSEFS_TREE_UNSUPPORTED. */
export function writeErofsImage(root: TreeNode, options: ImageOptions = {}): Buffer {
  return new ErofsImageWriter(new InodeTable(root, options.formatVersion ?? DEFAULT_FORMAT_VERSION)).write();
}

class ErofsImageWriter {
  readonly #table: InodeTable;
  readonly #layout: ImageLayout;
  readonly #image: ErofsImageBuffer;
  readonly #view: DataView;

  constructor(table: InodeTable) {
    this.#table = table;
    this.#layout = new ImageLayout(table);
    this.#image = new ErofsImageBuffer(this.#layout.imageBytes);
    this.#view = this.#image.view;
  }

  write(): Buffer {
    this.#writeHeader();
    this.#writeSuperblock();
    const sharedBase = this.#layout.inodesEnd % BLOCK_BYTES;
    const list = new XattrList();
    for (let inode = 0; inode < this.#table.count; inode++) {
      this.#writeInode(inode);
      if (this.#layout.xattrBytes[inode]! > 0) {
        this.#table.collectXattrs(inode, list);
        const position = this.#layout.positions[inode]! + this.#layout.inodeBytes(inode);
        writeXattrArea(this.#image, position, list, sharedBase);
      }
      if (this.#table.names[inode] !== undefined) {
        writeDirectory(this.#image, this.#table, this.#layout, inode);
        continue;
      }
      if (this.#layout.tailBytes[inode]! > 0) this.#writeTail(inode);
      if (this.#layout.blockCounts[inode]! > 0) this.#writeBlocks(inode);
    }
    this.#table.xattrs.writeShared(this.#image, this.#layout.inodesEnd);
    return this.#image.bytes;
  }

  #writeHeader(): void {
    this.#view.setUint32(0, COMPOSEFS_MAGIC, true);
    this.#view.setUint32(4, COMPOSEFS_HEADER_VERSION, true);
    this.#view.setUint32(8, this.#table.usesAcl ? HAS_ACL_FLAG : 0, true);
    this.#view.setUint32(12, this.#table.formatVersion, true);
  }

  #writeSuperblock(): void {
    const view = this.#view;
    const at = SUPERBLOCK_OFFSET;
    view.setUint32(at, EROFS_MAGIC, true);
    view.setUint32(at + 8, FEATURE_COMPAT, true);
    view.setUint8(at + 12, LOG2_BLOCK_BYTES);
    view.setUint16(at + 14, this.#layout.positions[0]! / SLOT_BYTES, true);
    this.#image.writeInteger64(at + 16, this.#table.count);
    this.#image.writeInteger64(at + 24, this.#table.minMtimeSec);
    view.setUint32(at + 32, this.#table.minMtimeNsec, true);
    view.setUint32(at + 36, this.#layout.imageBytes / BLOCK_BYTES, true);
    view.setUint32(at + 44, Math.floor(this.#layout.inodesEnd / BLOCK_BYTES), true);
  }

  #writeInode(inode: number): void {
    const view = this.#view;
    const node = this.#table.nodes[inode]!;
    const at = this.#layout.positions[inode]!;
    const isCompact = this.#layout.isCompact[inode] === 1;
    const nlink = this.#table.nlinks[inode]!;
    const sizeBytes = this.#layout.sizeOnDisk(inode);
    view.setUint16(at, (isCompact ? 0 : 1) | (this.#dataLayout(inode) << 1), true);
    view.setUint16(at + 2, countXattrWords(this.#layout.xattrBytes[inode]!), true);
    view.setUint16(at + 4, this.#table.modes[inode]!, true);
    view.setUint32(at + 16, this.#addressField(inode), true);
    view.setUint32(at + 20, inode, true);
    if (isCompact) {
      view.setUint16(at + 6, nlink, true);
      view.setUint32(at + 8, sizeBytes, true);
      view.setUint16(at + 24, node.uid, true);
      view.setUint16(at + 26, node.gid, true);
      return;
    }
    this.#image.writeInteger64(at + 8, sizeBytes);
    view.setUint32(at + 24, node.uid, true);
    view.setUint32(at + 28, node.gid, true);
    this.#image.writeInteger64(at + 32, node.mtimeSec);
    view.setUint32(at + 40, node.mtimeNsec, true);
    view.setUint32(at + 44, nlink, true);
  }

  #dataLayout(inode: number): number {
    if (this.#layout.chunkBits[inode]! > 0) return LAYOUT_CHUNK_BASED;
    return this.#layout.tailBytes[inode]! > 0 ? LAYOUT_FLAT_INLINE : LAYOUT_FLAT_PLAIN;
  }

  /** i_u: the first block, the device number or the chunk format. */
  #addressField(inode: number): number {
    const type = this.#table.modes[inode]! & S_IFMT;
    if (type === S_IFCHR || type === S_IFBLK) return this.#table.nodes[inode]!.rdev;
    const firstBlock = this.#layout.firstBlocks[inode]!;
    const chunkBits = this.#layout.chunkBits[inode]!;
    if (chunkBits === 0) return firstBlock;
    // The address of a chunk table in a separate block loses its low half, as in mkcomposefs.
    return ((firstBlock & 0xffff0000) | (chunkBits - LOG2_BLOCK_BYTES)) >>> 0;
  }

  #writeTail(inode: number): void {
    const node = this.#table.nodes[inode]!;
    const position = this.#layout.tailPosition(inode);
    const tailBytes = this.#layout.tailBytes[inode]!;
    if (this.#layout.chunkBits[inode]! > 0) {
      for (let at = position; at < position + tailBytes; at += 4) this.#view.setUint32(at, NULL_BLOCK, true);
    } else if ((node.mode & S_IFMT) === S_IFLNK) {
      this.#image.writeBytes(position, node.payload!);
    } else {
      node.content!.copy(this.#image.bytes, position, node.content!.length - tailBytes);
    }
  }

  #writeBlocks(inode: number): void {
    const node = this.#table.nodes[inode]!;
    const position = this.#layout.firstBlocks[inode]! * BLOCK_BYTES;
    if (this.#layout.chunkBits[inode]! > 0) {
      this.#image.bytes.fill(NULL_BLOCK & 0xff, position, position + BLOCK_BYTES);
    } else if ((node.mode & S_IFMT) === S_IFLNK) {
      this.#image.writeBytes(position, node.payload!);
    } else {
      const end = node.content!.length - this.#layout.tailBytes[inode]!;
      node.content!.copy(this.#image.bytes, position, 0, end);
    }
  }
}

/** i_xattr_icount: 0 without xattrs, else 1 for the header and 1 for every four bytes after it. */
function countXattrWords(xattrBytes: number): number {
  return xattrBytes === 0 ? 0 : (xattrBytes - XATTR_IBODY_HEADER_BYTES) / 4 + 1;
}

const TYPE_SHIFT = 12;
/** EROFS's file type numbers by the type bits of a mode. */
const FILE_TYPES = new Uint8Array(16);
for (const [index, type] of [S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK].entries()) {
  FILE_TYPES[type >> TYPE_SHIFT] = index + 1;
}

function writeDirectory(
  image: ErofsImageBuffer,
  table: InodeTable,
  layout: ImageLayout,
  directory: number,
): void {
  const names = table.names[directory]!;
  const blockCount = layout.blockCounts[directory]!;
  let block = -1;
  let index = 0;
  let blockEnd = 0;
  let position = 0;
  let recordAt = 0;
  let nameOffset = 0;
  table.forEachEntry(directory, (name, inode) => {
    if (index === blockEnd) {
      blockEnd = endOfBlock(names, index);
      block++;
      const isTail = block === blockCount;
      position = isTail
        ? layout.tailPosition(directory)
        : (layout.firstBlocks[directory]! + block) * BLOCK_BYTES;
      recordAt = position;
      nameOffset = (blockEnd - index) * DIRENT_BYTES;
    }
    image.writeInteger64(recordAt, layout.positions[inode]! / SLOT_BYTES);
    image.view.setUint16(recordAt + 8, nameOffset, true);
    image.view.setUint8(recordAt + 10, FILE_TYPES[(table.modes[inode]! & S_IFMT) >> TYPE_SHIFT]!);
    image.writeBytes(position + nameOffset, name);
    recordAt += DIRENT_BYTES;
    nameOffset += name.length;
    index++;
  });
}

/** The index of the first name that does not fit into the block that begins with the name at `start`. */
function endOfBlock(names: readonly string[], start: number): number {
  let usedBytes = 0;
  for (let index = start; index < names.length; index++) {
    usedBytes += DIRENT_BYTES + names[index]!.length;
    if (usedBytes > BLOCK_BYTES) return index;
  }
  return names.length;
}
