/**
 * Makes of a member of a layer's archive what a merge of layers takes: a node for the tree, or a hard link's target.
 * Small files go into the image, others point to their object by its fs-verity digest (composefs-rs's rule).
 */

import type { TarEntry } from "../archive/tar-entry.ts";
import {
  createNode,
  makeDevice,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  type TreeNode,
} from "./file-tree.ts";
import type { LayerEntry } from "./merge-layers.ts";

/** Files up to this size are kept in the image itself. */
export const INLINE_FILE_MAX_BYTES = 64;

/** A file's content: its bytes when they are few, else the object that holds them. */
export type LayerContent = { inline: Buffer } | { verityDigest: string };

const TYPE_BITS = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  char: S_IFCHR,
  block: S_IFBLK,
  fifo: S_IFIFO,
} as const;

/** `content` for files that are not empty. */
export function createLayerEntry(entry: TarEntry, content?: LayerContent): LayerEntry {
  const { path, type, linkPath } = entry;
  if (type === "hardlink") return { path, linkPath };
  const fields: Partial<TreeNode> = {
    uid: entry.uid,
    gid: entry.gid,
    sizeBytes: entry.sizeBytes,
    mtimeSec: entry.mtime.sec,
    mtimeNsec: entry.mtime.nsec,
    xattrs: entry.xattrs.size === 0 ? undefined : new Map(entry.xattrs),
  };
  if (type === "symlink") fields.payload = linkPath;
  if (type === "char" || type === "block") fields.rdev = makeDevice(entry.devMajor, entry.devMinor);
  if (content !== undefined) Object.assign(fields, pointTo(content));
  return { path, node: createNode(TYPE_BITS[type] | entry.mode, fields) };
}

function pointTo(content: LayerContent): Partial<TreeNode> {
  if ("inline" in content) return { content: content.inline };
  return { verityDigest: content.verityDigest, payload: formatObjectPath(content.verityDigest) };
}

/** Where an object is, below the objects directory: `ab/cdef…`. */
export function formatObjectPath(verityDigest: string): string {
  return `${verityDigest.slice(0, 2)}/${verityDigest.slice(2)}`;
}
