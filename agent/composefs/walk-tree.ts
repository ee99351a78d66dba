/**
 * Finds the directory at a path of a tree, following symlinks as in a chroot.
 */
import { showPath } from "../archive/tar-entry.ts";
import { AgentError, type ErrorCode } from "../errors.ts";
import { TREE_MAX_DEPTH } from "../limits.ts";
import { isDirectory, S_IFLNK, S_IFMT, type TreeNode } from "./file-tree.ts";

/** As in the kernel. */
const MAX_SYMLINKS = 40;

/**
 * `onMissing` makes the directory for a part of the path; what a symlink leads to must exist. `path` is for errors.
 * Throws ARCHIVE_BAD_MEMBER.
 */
export function walkTree(
  root: TreeNode,
  parts: readonly string[],
  path: string,
  onMissing?: (directory: TreeNode, name: string) => TreeNode,
): TreeNode {
  const waiting = [...parts].reverse();
  let ownParts = waiting.length;
  let way: TreeNode[] = [root];
  let symlinks = 0;
  for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
    const isOwn = waiting.length < ownParts;
    ownParts = Math.min(ownParts, waiting.length);
    if (part === "" || part === ".") continue;
    if (part === "..") {
      if (way.length > 1) way.pop();
      continue;
    }
    const directory = way.at(-1)!;
    let next = directory.children!.get(part);
    if (next !== undefined && (next.mode & S_IFMT) === S_IFLNK) {
      if (++symlinks > MAX_SYMLINKS) throw createPathError(path, "it leads through too many symlinks");
      const target = next.payload!;
      if (target.startsWith("/")) way = [root];
      waiting.push(...target.split("/").reverse());
      continue;
    }
    if (next === undefined && isOwn) next = onMissing?.(directory, part);
    if (next === undefined || !isDirectory(next))
      throw createPathError(path, `${showPath(part)} on its way is not a directory`);
    way.push(next);
    if (way.length > TREE_MAX_DEPTH)
      throw createPathError(path, `it is more than ${TREE_MAX_DEPTH} directories deep`);
  }
  return way.at(-1)!;
}

/** Returns the target of a hard link. Throws if it is not a file. */
export function requireLeaf(
  node: TreeNode | undefined,
  path: string,
  linkPath: string | undefined,
): TreeNode {
  if (node !== undefined && !isDirectory(node)) return node;
  throw createPathError(path, `its target ${showPath(linkPath ?? "")} is not a file that came before it`);
}

export function createPathError(
  path: string,
  fault: string,
  code: ErrorCode = "ARCHIVE_BAD_MEMBER",
): AgentError {
  return new AgentError(code, `Cannot unpack ${showPath(path)}: ${fault}`, { context: { path } });
}
