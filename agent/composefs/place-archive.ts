/**
 * Adds an archive to a tree as if it were unpacked into the mounted root: symlinks are followed inside the tree, existing
 * directories keep their metadata, and everything else replaces what is at its path.
 */
import { findNameFault, findNodeFault } from "./check-tree.ts";
import { createNode, isDirectory, S_IFDIR, type TreeNode } from "./file-tree.ts";
import { type LayerEntry, splitLayerPath } from "./merge-layers.ts";
import { createPathError, requireLeaf, walkTree } from "./walk-tree.ts";

const NEW_DIRECTORY_MODE = S_IFDIR | 0o755;

/** Changes `root`. Throws LAYER_TREE_INVALID. */
export function placeArchive(root: TreeNode, to: string, entries: Iterable<LayerEntry>): void {
  const base = splitLayerPath(to);
  openDirectory(root, base, to);
  for (const entry of entries) {
    const own = splitLayerPath(entry.path);
    const name = own.pop();
    // The archive's root is an existing directory.
    if (name === undefined) continue;
    const directory = openDirectory(root, [...base, ...own], entry.path);
    const node = entry.node ?? findLinkTarget(root, base, entry);
    const fault = findNameFault(name) ?? findNodeFault(node);
    if (fault !== undefined) throw createPathError(entry.path, fault);
    if (isDirectory(node) && isDirectoryThere(root, [...base, ...own, name])) continue;
    directory.children!.set(name, node);
  }
}

/** The directory at a path. Missing parts, and files in their place, become directories. */
function openDirectory(root: TreeNode, parts: readonly string[], path: string): TreeNode {
  const onMissing = (directory: TreeNode, name: string) => {
    const made = createNode(NEW_DIRECTORY_MODE);
    directory.children!.set(name, made);
    return made;
  };
  return walkTree(root, parts, { path, onMissing })!;
}

function isDirectoryThere(root: TreeNode, parts: readonly string[]): boolean {
  return walkTree(root, parts, { path: parts.join("/"), onMissing: () => undefined }) !== undefined;
}

/** A hard link's target is a member of the same archive. */
function findLinkTarget(root: TreeNode, base: readonly string[], entry: LayerEntry): TreeNode {
  const parts = splitLayerPath(entry.linkPath ?? "");
  const name = parts.pop() ?? "";
  const onMissing = () => undefined;
  const directory = walkTree(root, [...base, ...parts], { path: entry.path, onMissing });
  return requireLeaf(directory?.children?.get(name), entry.path, entry.linkPath);
}
