/**
 * Constants of the EROFS on-disk format (the kernel's fs/erofs/erofs_fs.h), and the buffer for an image. All numbers are
 * little endian.
 */

export const BLOCK_BYTES = 4096;
export const SLOT_BYTES = 32;
export const COMPACT_INODE_BYTES = 32;
export const EXTENDED_INODE_BYTES = 64;
export const DIRENT_BYTES = 12;
export const XATTR_IBODY_HEADER_BYTES = 12;
export const XATTR_ENTRY_HEADER_BYTES = 4;
export const SUPERBLOCK_OFFSET = 1024;
export const SUPERBLOCK_BYTES = 128;
/** Block address in a file without data: a hole to EROFS, an object to overlayfs. */
export const NULL_BLOCK = 0xffffffff;
/** A file's chunk table must fit into one block. */
export const MAX_CHUNKS = 1024;

export const LAYOUT_FLAT_PLAIN = 0;
export const LAYOUT_FLAT_INLINE = 2;
export const LAYOUT_CHUNK_BASED = 4;

export const roundUp = (value: number, unit: number) => Math.ceil(value / unit) * unit;

/** Below this length, a loop is faster than a call of `Buffer.write`. */
const SHORT_STRING_CHARACTERS = 24;

/** An image, filled with zeros at first. */
export class ErofsImageBuffer {
  readonly bytes: Buffer;
  readonly view: DataView;

  constructor(sizeBytes: number) {
    this.bytes = Buffer.alloc(sizeBytes);
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, sizeBytes);
  }

  /** A latin1 string, one byte per character. */
  writeBytes(position: number, text: string): void {
    if (text.length > SHORT_STRING_CHARACTERS) {
      this.bytes.write(text, position, "latin1");
      return;
    }
    for (let index = 0; index < text.length; index++) this.bytes[position + index] = text.charCodeAt(index);
  }

  /** A 64-bit integer in two's complement. */
  writeInteger64(position: number, value: number | bigint): void {
    if (typeof value === "bigint") {
      this.view.setBigUint64(position, BigInt.asUintN(64, value), true);
      return;
    }
    this.view.setUint32(position, value >>> 0, true);
    this.view.setUint32(position + 4, Math.floor(value / 0x1_0000_0000) >>> 0, true);
  }
}
