/**
 * Counts the inodes of a file tree and finds its hard links and whiteouts. One name of a hard link is its home, which
 * decides its inode number.
 */

import { TREE_MAX_DEPTH } from "../limits.ts";
import { createTreeError } from "./check-tree.ts";
import { isWhiteout, type TreeHome, type TreeNode } from "./file-tree.ts";

export interface HardLink {
  nameCount: number;
  home: TreeHome;
}

export interface TreeSurvey {
  inodeCount: number;
  hasWhiteout: boolean;
  /** Non-directories with more than one name. */
  hardLinks: Map<TreeNode, HardLink>;
}

/** Throws COMPOSEFS_TREE_UNSUPPORTED. */
export function surveyTree(root: TreeNode): TreeSurvey {
  const survey: TreeSurvey = { inodeCount: 1, hasWhiteout: false, hardLinks: new Map() };
  const nameCounts = new Map<TreeNode, number>();
  const leaves = new Set<TreeNode>();
  countBelow(root, 0);
  if (nameCounts.size > 0) findHomes(root, nameCounts, survey.hardLinks);
  return survey;

  function countBelow(directory: TreeNode, depth: number): void {
    if (depth > TREE_MAX_DEPTH)
      throw createTreeError("/…", `it is more than ${TREE_MAX_DEPTH} directories deep`);
    for (const child of directory.children!.values()) {
      if (child.children === undefined && leaves.has(child)) {
        nameCounts.set(child, (nameCounts.get(child) ?? 1) + 1);
        continue;
      }
      survey.inodeCount++;
      if (child.children !== undefined) countBelow(child, depth + 1);
      else {
        leaves.add(child);
        survey.hasWhiteout ||= isWhiteout(child);
      }
    }
  }
}

/** Ignores homes that were removed from the tree. */
function findHomes(
  directory: TreeNode,
  nameCounts: ReadonlyMap<TreeNode, number>,
  hardLinks: Map<TreeNode, HardLink>,
): void {
  for (const name of [...directory.children!.keys()].sort()) {
    const child = directory.children!.get(name)!;
    if (child.children !== undefined) {
      findHomes(child, nameCounts, hardLinks);
      continue;
    }
    const nameCount = nameCounts.get(child);
    if (nameCount === undefined) continue;
    const isStated = child.home?.directory === directory && child.home.name === name;
    if (isStated || !hardLinks.has(child)) hardLinks.set(child, { nameCount, home: { directory, name } });
  }
}
