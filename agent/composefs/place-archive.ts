/**
 * Lays an archive into a tree as unpacking it into the mounted root would: symlinks of the tree are followed inside it,
 * directories that are there keep what they are, and everything else replaces what it meets.
 */
import { AgentError } from "../errors.ts";
import { findNameFault, findNodeFault } from "./check-tree.ts";
import { createNode, isDirectory, S_IFDIR, S_IFLNK, S_IFMT, type TreeNode } from "./file-tree.ts";
import { type LayerEntry, splitLayerPath } from "./merge-layers.ts";

/** A chain of symlinks longer than the kernel follows. */
const MAX_SYMLINKS = 40;
const NEW_DIRECTORY_MODE = S_IFDIR | 0o755;

/** Changes `root`. Throws LAYER_TREE_BROKEN. */
export function placeArchive(root: TreeNode, to: string, entries: Iterable<LayerEntry>): void {
  const base = splitLayerPath(to);
  openDirectory(root, base, to);
  for (const entry of entries) {
    const own = splitLayerPath(entry.path);
    const name = own.pop();
    // The archive's own root: the directory is there, and stays what it is.
    if (name === undefined) continue;
    const directory = openDirectory(root, [...base, ...own], entry.path);
    const node = entry.node ?? findLinkTarget(root, base, entry);
    const fault = findNameFault(name) ?? findNodeFault(node);
    if (fault !== undefined) throw broken(entry.path, fault);
    if (isDirectory(node) && isDirectoryThere(root, [...base, ...own, name])) continue;
    directory.children!.set(name, node);
  }
}

/** The directory at a path, made where it is missing; a file in its way is replaced. */
function openDirectory(root: TreeNode, parts: readonly string[], path: string): TreeNode {
  return walk(root, parts, path, (directory, name) => {
    const made = createNode(NEW_DIRECTORY_MODE);
    directory.children!.set(name, made);
    return made;
  })!;
}

function isDirectoryThere(root: TreeNode, parts: readonly string[]): boolean {
  return walk(root, parts, parts.join("/"), () => undefined) !== undefined;
}

/** Follows symlinks as the kernel does below a root; `onMissing` gives the directory for a name that leads to none. */
function walk(
  root: TreeNode,
  parts: readonly string[],
  path: string,
  onMissing: (directory: TreeNode, name: string) => TreeNode | undefined,
): TreeNode | undefined {
  const waiting = [...parts].reverse();
  let way: TreeNode[] = [root];
  let symlinks = 0;
  for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      if (way.length > 1) way.pop();
      continue;
    }
    const directory = way.at(-1)!;
    const child = directory.children!.get(part);
    if (child !== undefined && (child.mode & S_IFMT) === S_IFLNK) {
      if (++symlinks > MAX_SYMLINKS) throw broken(path, "too many symlinks are on its way");
      if (child.payload!.startsWith("/")) way = [root];
      waiting.push(...child.payload!.split("/").reverse());
      continue;
    }
    const next = child !== undefined && isDirectory(child) ? child : onMissing(directory, part);
    if (next === undefined) return undefined;
    way.push(next);
  }
  return way.at(-1);
}

/** A hard link's target is a member of the same archive. */
function findLinkTarget(root: TreeNode, base: readonly string[], entry: LayerEntry): TreeNode {
  const parts = splitLayerPath(entry.linkPath ?? "");
  const name = parts.pop() ?? "";
  const node = walk(root, [...base, ...parts], entry.path, () => undefined)?.children?.get(name);
  if (node === undefined || isDirectory(node))
    throw broken(entry.path, `its target "${entry.linkPath}" is no file`);
  return node;
}

function broken(path: string, fault: string): AgentError {
  return new AgentError("LAYER_TREE_BROKEN", `Cannot place "${path}" of the archive: ${fault}`, {
    context: { path },
  });
}
