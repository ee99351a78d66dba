/**
 * Writes a file tree as composefs-dump text: one line a path, depth first in byte order.
 * The same tree always gives the same bytes, and the dump's parser reads the same tree back.
 */

import { S_IFLNK, S_IFMT, type TreeNode } from "../../agent/composefs/file-tree.ts";
import { type HardLink, surveyTree } from "../../agent/composefs/tree-survey.ts";
import { escapeField, escapeXattrPart } from "./dump-escape.ts";

/** The dump's lines, each with its newline, as latin1 text that is ASCII throughout. */
export function* writeDump(root: TreeNode): Generator<string> {
  const { hardLinks } = surveyTree(root);
  const homePaths = new Map<TreeNode, string>();
  if (hardLinks.size > 0) findHomePaths(root, "", hardLinks, homePaths);
  yield* writeNode(root, "/");

  function* writeNode(node: TreeNode, path: string): Generator<string> {
    yield formatLine(node, path, hardLinks.get(node)?.nameCount ?? 1);
    if (node.children === undefined) return;
    for (const name of [...node.children.keys()].sort()) {
      const child = node.children.get(name)!;
      const childPath = path === "/" ? `/${name}` : `${path}/${name}`;
      const home = homePaths.get(child);
      if (home === undefined || home === childPath) yield* writeNode(child, childPath);
      else yield formatAlias(child, childPath, home);
    }
  }
}

/** The path of each hard link's home; its other names are written as aliases of it. */
function findHomePaths(
  directory: TreeNode,
  path: string,
  hardLinks: ReadonlyMap<TreeNode, HardLink>,
  homePaths: Map<TreeNode, string>,
): void {
  for (const [name, child] of directory.children!) {
    if (child.children !== undefined) findHomePaths(child, `${path}/${name}`, hardLinks, homePaths);
    const home = hardLinks.get(child)?.home;
    if (home?.directory === directory && home.name === name) homePaths.set(child, `${path}/${name}`);
  }
}

function formatLine(node: TreeNode, path: string, nameCount: number): string {
  const isSymlink = (node.mode & S_IFMT) === S_IFLNK;
  const size = isSymlink ? node.payload!.length : BigInt(node.sizeBytes);
  const nlink = node.children === undefined ? (node.nlink ?? nameCount) : countDirectoryLinks(node);
  const fields = [
    escapeField(path),
    size,
    node.mode.toString(8),
    nlink,
    node.uid,
    node.gid,
    node.rdev,
    `${node.mtimeSec}.${node.mtimeNsec}`,
    node.payload === undefined ? "-" : escapeField(node.payload),
    node.content === undefined ? "-" : escapeField(node.content.toString("latin1")),
    node.verityDigest ?? "-",
  ];
  if (node.xattrs !== undefined) {
    for (const key of [...node.xattrs.keys()].sort()) {
      fields.push(`${escapeXattrPart(key)}=${escapeXattrPart(node.xattrs.get(key)!.toString("latin1"))}`);
    }
  }
  return `${fields.join(" ")}\n`;
}

function formatAlias(node: TreeNode, path: string, home: string): string {
  return `${escapeField(path)} 0 @${node.mode.toString(8)} 0 0 0 0 0.0 ${escapeField(home)} - -\n`;
}

function countDirectoryLinks(directory: TreeNode): number {
  let links = 2;
  for (const child of directory.children!.values()) if (child.children !== undefined) links++;
  return links;
}
