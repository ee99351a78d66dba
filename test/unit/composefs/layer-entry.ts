/** The entries of a layer as a merge takes them: made of tar members, and read from a stored tree, in a form to compare. */
import type { TarEntry } from "../../../agent/archive/tar-entry.ts";
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
} from "../../../agent/composefs/file-tree.ts";
import type { LayerTree, TreeContent } from "../../../agent/composefs/layer-tree.ts";
import type { LayerEntry } from "../../../agent/composefs/merge-layers.ts";
import { formatObjectPath } from "../../../agent/composefs/object-repository.ts";

const TYPE_BITS = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  char: S_IFCHR,
  block: S_IFBLK,
  fifo: S_IFIFO,
} as const;

/** `content` for files that are not empty. */
export function createLayerEntry(entry: TarEntry, content?: TreeContent): LayerEntry {
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
  if (content && "inline" in content) fields.content = content.inline;
  if (content && "verity" in content) {
    fields.verityDigest = content.verity;
    fields.payload = formatObjectPath(content.verity);
  }
  return { path, node: createNode(TYPE_BITS[type] | entry.mode, fields) };
}

/** With a plain node in place of a view. */
function copyEntry({ path, linkPath, node }: LayerEntry): LayerEntry {
  if (node === undefined) return { path, linkPath: linkPath! };
  return { path, node: createNode(node.mode, node) };
}

export function listEntries(tree: LayerTree): LayerEntry[] {
  return [...tree.listEntries()].map(copyEntry);
}

/** fs-verity digest of the object of a file. */
export function findObject(tree: LayerTree, path: string): string {
  const entry = listEntries(tree).find((candidate) => candidate.path === path);
  const digest = entry?.node?.verityDigest;
  if (digest === undefined) throw new Error(`Cannot find an object of "${path}"`);
  return digest;
}
