/**
 * Finds the directory at a path of a tree, following symlinks as the kernel does below a root: nothing leads out of it.
 */
import { AgentError, type ErrorCode } from "../errors.ts";
import { TREE_MAX_DEPTH } from "../limits.ts";
import { isDirectory, S_IFLNK, S_IFMT, type TreeNode } from "./file-tree.ts";

/** A chain of symlinks longer than the kernel follows. */
const MAX_SYMLINKS = 40;

export interface WalkOptions {
  /** The path that the walk is for, as errors name it. */
  path: string;
  /** Gives the directory for a name that leads to none; undefined ends the walk. */
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
      if (++symlinks > MAX_SYMLINKS) throw placeRefused(path, "too many symlinks are on its way");
      const target = child.payload!;
      if (target.startsWith("/")) way = [root];
      waiting.push(...target.split("/").reverse());
      continue;
    }
    const next = child !== undefined && isDirectory(child) ? child : onMissing(directory, part);
    if (next === undefined) return undefined;
    way.push(next);
    if (way.length > TREE_MAX_DEPTH) {
      throw placeRefused(path, `it is more than ${TREE_MAX_DEPTH} directories deep`);
    }
  }
  return way.at(-1);
}

export function placeRefused(
  path: string,
  fault: string,
  code: ErrorCode = "LAYER_TREE_INVALID",
): AgentError {
  return new AgentError(code, `Cannot place "${path}" in the tree: ${fault}`, {
    context: { path },
  });
}
