/**
 * composefs-rs's transform_for_oci: removes the differences between an image's archives and the mounted image from a
 * merged tree, which are the root's metadata, /run and labels.
 */
import { AgentError } from "../errors.ts";
import { findNameFault, findNodeFault } from "./check-tree.ts";
import { createNode, isDirectory, S_IFDIR, type TreeNode } from "./file-tree.ts";
import { type LayerEntry, splitLayerPath } from "./merge-layers.ts";
import { createPathError, requireLeaf, walkTree } from "./walk-tree.ts";

export interface OciTransformOptions {
  /** Keeps `user.*` xattrs besides `security.capability`. */
  keepUserXattrs?: boolean;
}

/** Changes the tree. Throws LAYER_TREE_INVALID when it has no directory /usr. */
export function transformForOci(root: TreeNode, options: OciTransformOptions = {}): void {
  const usr = root.children!.get("usr");
  if (usr === undefined || !isDirectory(usr)) {
    throw new AgentError(
      "LAYER_TREE_INVALID",
      'Cannot copy the metadata of "/usr" to "/": "/usr" is not a directory',
    );
  }
  const { mode, uid, gid, mtimeSec, mtimeNsec, xattrs } = usr;
  Object.assign(root, { mode, uid, gid, mtimeSec, mtimeNsec, xattrs });
  const run = root.children!.get("run");
  if (run !== undefined && isDirectory(run)) {
    run.children!.clear();
    Object.assign(run, { mtimeSec, mtimeNsec });
  }
  filterXattrs(root, options.keepUserXattrs ?? false);
}

function filterXattrs(node: TreeNode, keepUser: boolean): void {
  if (node.xattrs !== undefined) {
    const kept = [...node.xattrs].filter(
      ([key]) => key === "security.capability" || (keepUser && key.startsWith("user.")),
    );
    node.xattrs = kept.length === 0 ? undefined : new Map(kept);
  }
  for (const child of node.children?.values() ?? []) filterXattrs(child, keepUser);
}

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
