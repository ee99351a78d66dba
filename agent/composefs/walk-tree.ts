/**
 * Finds the directory at a path of a tree, following symlinks as in a chroot.
 */
import { AgentError, type ErrorCode } from "../errors.ts";
import { TREE_MAX_DEPTH } from "../limits.ts";
import { isDirectory, S_IFLNK, S_IFMT, type TreeNode } from "./file-tree.ts";

/** As in the kernel. */
const MAX_SYMLINKS = 40;

export interface WalkOptions {
  /** For errors. */
  path: string;
  /** Returns the directory for a name that is not one; undefined ends the walk. */
  onMissing: (directory: TreeNode, name: string) => TreeNode | undefined;
}

/** Undefined where `onMissing` ended it. Throws LAYER_TREE_INVALID. */
export function walkTree(
  root: TreeNode,
  parts: readonly string[],
  { path, onMissing }: WalkOptions,
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
      if (++symlinks > MAX_SYMLINKS) throw createPathError(path, "it leads through too many symlinks");
      const target = child.payload!;
      if (target.startsWith("/")) way = [root];
      waiting.push(...target.split("/").reverse());
      continue;
    }
    const next = child !== undefined && isDirectory(child) ? child : onMissing(directory, part);
    if (next === undefined) return undefined;
    way.push(next);
    if (way.length > TREE_MAX_DEPTH) {
      throw createPathError(path, `it is more than ${TREE_MAX_DEPTH} directories deep`);
    }
  }
  return way.at(-1);
}

/** Returns the target of a hard link. Throws if it is not a file. */
export function requireLeaf(
  node: TreeNode | undefined,
  path: string,
  linkPath: string | undefined,
): TreeNode {
  if (node !== undefined && !isDirectory(node)) return node;
  throw createPathError(path, `its target "${linkPath}" is not a file`);
}

export function createPathError(
  path: string,
  fault: string,
  code: ErrorCode = "LAYER_TREE_INVALID",
): AgentError {
  return new AgentError(code, `Cannot add "${path}" to the tree: ${fault}`, {
    context: { path },
  });
}
