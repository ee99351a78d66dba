/**
 * Writes directory entries in the EROFS format: each block has as many fixed-size records as fit, in byte order of the
 * names, followed by the names. The last block may be inline, after the inode.
 */

import { BLOCK_BYTES, DIRENT_BYTES, type ErofsImageBuffer, SLOT_BYTES } from "./erofs-format.ts";
import type { InodeTable } from "./erofs-inodes.ts";
import type { ImageLayout } from "./erofs-layout.ts";
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from "./file-tree.ts";

const TYPE_SHIFT = 12;
/** EROFS's file type numbers by the type bits of a mode. */
const FILE_TYPES = new Uint8Array(16);
for (const [index, type] of [S_IFREG, S_IFDIR, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK].entries()) {
  FILE_TYPES[type >> TYPE_SHIFT] = index + 1;
}

export function writeDirectory(
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
