/**
 * Checks that a composefs image can hold a name or a node. The limits are those of mkcomposefs (composefs-dump(5),
 * lcfs-writer.h).
 */

import { countXattrBytes } from "../archive/tar-entry.ts";
import { AgentError } from "../errors.ts";
import { FILE_NAME_MAX_BYTES, XATTRS_MAX_BYTES } from "../limits.ts";
import { BLOCK_BYTES, MAX_CHUNKS } from "./erofs-format.ts";
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

export const SYMLINK_MAX_BYTES = 4095;
const INLINE_CONTENT_MAX_BYTES = 5000;
const XATTR_NAME_MAX_BYTES = 255;
const FILE_TYPES: ReadonlySet<number> = new Set([
  S_IFSOCK,
  S_IFLNK,
  S_IFREG,
  S_IFBLK,
  S_IFDIR,
  S_IFCHR,
  S_IFIFO,
]);
/** Chunks grow with the file up to this size (log2); beyond it, their number grows. */
const MAX_CHUNK_BITS = 43;
const MIN_CHUNK_BITS = Math.log2(BLOCK_BYTES);

export function hasKnownType(mode: number): boolean {
  return FILE_TYPES.has(mode & S_IFMT);
}

/** log2 of the smallest power of two that a file of this size fits into, between a block and 8 TiB. */
export function chooseChunkBits(sizeBytes: number): number {
  const last = sizeBytes - 1;
  const bits = last > 0xffffffff ? 64 - Math.clz32(Math.floor(last / 0x1_0000_0000)) : 32 - Math.clz32(last);
  return Math.min(Math.max(bits, MIN_CHUNK_BITS), MAX_CHUNK_BITS);
}

/** The chunks of an external file of this size; an image can hold MAX_CHUNKS of one file. */
export function countChunks(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 2 ** chooseChunkBits(sizeBytes));
}

/** Why a directory cannot have an entry with this name; undefined if it can. */
export function findNameFault(name: string): string | undefined {
  if (name.length === 0) return "an empty name";
  if (name === "." || name === "..") return `the name "${name}"`;
  if (name.length > FILE_NAME_MAX_BYTES) return `a name of ${name.length} bytes`;
  if (name.includes("/") || name.includes("\0")) return "a slash or NUL in a name";
  return undefined;
}

/** Why an image cannot hold this node; undefined if it can. */
export function findNodeFault(node: TreeNode): string | undefined {
  const type = node.mode & S_IFMT;
  if (!FILE_TYPES.has(type)) return `a mode without a file type, ${node.mode.toString(8)}`;
  if (type === S_IFLNK) {
    const length = node.payload?.length ?? 0;
    if (length === 0) return "a symlink without a target";
    if (length > SYMLINK_MAX_BYTES) return `a symlink target of ${length} bytes`;
    if (node.payload!.includes("\0")) return "a NUL in a symlink target";
  } else if (type === S_IFREG) {
    const fault = findContentFault(node);
    if (fault !== undefined) return fault;
  }
  return node.xattrs === undefined ? undefined : findXattrFault(node.xattrs);
}

function findContentFault({ content, sizeBytes }: TreeNode): string | undefined {
  if (content === undefined) {
    const isWhole = Number.isInteger(sizeBytes) && sizeBytes >= 0;
    if (!isWhole || (sizeBytes > 0 && countChunks(sizeBytes) > MAX_CHUNKS))
      return `a file of ${sizeBytes} bytes`;
    return undefined;
  }
  if (content.length > INLINE_CONTENT_MAX_BYTES) return `inline content of ${content.length} bytes`;
  if (content.length !== sizeBytes)
    return `${content.length} bytes of content in a file of ${sizeBytes} bytes`;
  return undefined;
}

function findXattrFault(xattrs: ReadonlyMap<string, Buffer>): string | undefined {
  for (const name of xattrs.keys()) {
    if (name.length === 0 || name.includes("\0")) return "an empty xattr name or a NUL in one";
    if (name.length > XATTR_NAME_MAX_BYTES) return `an xattr name of ${name.length} bytes`;
  }
  const cost = countXattrBytes(xattrs);
  return cost > XATTRS_MAX_BYTES ? `${cost} bytes of xattrs` : undefined;
}

export function createTreeError(path: string, fault: string): AgentError {
  return new AgentError(
    "COMPOSEFS_TREE_UNSUPPORTED",
    `Cannot put "${path}" into a composefs image: ${fault}`,
    {
      context: { path },
    },
  );
}
