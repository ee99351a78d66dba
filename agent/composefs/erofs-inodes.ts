/**
 * Turns a file tree into the inodes of a composefs image, as composefs's tree rewrite does: numbered breadth first, with
 * escaped whiteouts, overlayfs xattrs and 256 stubs in the root. Fields are in arrays instead of an object per inode.
 */

import { createTreeError, findNameFault, findNodeFault } from "./check-tree.ts";
import { type XattrList, type XattrName, XattrTable } from "./erofs-xattrs.ts";
import { createNode, isWhiteout, S_IFCHR, S_IFLNK, S_IFMT, S_IFREG, type TreeNode } from "./file-tree.ts";
import { type HardLink, surveyTree } from "./tree-survey.ts";

const OVERLAY_PREFIX = "trusted.overlay.";
const ESCAPED_PREFIX = "trusted.overlay.overlay.";
const STUB_MODE = S_IFCHR | 0o644;
const STUB_NAMES: readonly string[] = Array.from({ length: 256 }, (_, index) =>
  index.toString(16).padStart(2, "0"),
);

/** An inode is its number; the root is 0. */
export class InodeTable {
  readonly count: number;
  readonly nodes: TreeNode[];
  /** As in the tree, except that a whiteout became a regular file. */
  readonly modes: Uint16Array;
  readonly nlinks: Uint32Array;
  /** Of a directory: its parent, its names in byte order including `.` and `..`, and its first child. */
  readonly parents: Uint32Array;
  readonly names: (string[] | undefined)[];
  readonly firstChildren: Uint32Array;

  readonly xattrs: XattrTable;
  readonly usesAcl: boolean;
  readonly formatVersion: 0 | 1;
  readonly minMtimeSec: number | bigint;
  readonly minMtimeNsec: number;

  readonly #hardLinks: ReadonlyMap<TreeNode, HardLink>;
  readonly #hardLinkNumbers = new Map<TreeNode, number>();
  readonly #directoriesWithWhiteouts = new Set<number>();
  readonly #stub: TreeNode;
  readonly #metacopy: XattrName;
  readonly #redirect: XattrName;

  /** Throws COMPOSEFS_TREE_UNSUPPORTED. */
  constructor(root: TreeNode, formatVersion: 0 | 1 | "auto") {
    const fault = root.children === undefined ? "it is not a directory" : findNodeFault(root);
    if (fault !== undefined) throw createTreeError("/", fault);
    const survey = surveyTree(root);
    const stubs = STUB_NAMES.filter((name) => !root.children!.has(name));
    this.formatVersion = formatVersion === "auto" ? (survey.hasWhiteout ? 1 : 0) : formatVersion;
    this.#hardLinks = survey.hardLinks;
    this.#stub = createStub(root);
    this.count = survey.inodeCount + stubs.length;
    this.xattrs = new XattrTable(this.count);
    this.nodes = [];
    this.modes = new Uint16Array(this.count);
    this.nlinks = new Uint32Array(this.count);
    this.parents = new Uint32Array(this.count);
    this.names = new Array(this.count);
    this.firstChildren = new Uint32Array(this.count);
    this.#metacopy = this.xattrs.findName("trusted.overlay.metacopy", "verity");
    this.#redirect = this.xattrs.findName("trusted.overlay.redirect", "path");

    this.#addInode(root);
    for (let inode = 0; inode < this.nodes.length; inode++) {
      if (this.nodes[inode]!.children !== undefined) this.#addChildren(inode, inode === 0 ? stubs : []);
    }
    ({ mtimeSec: this.minMtimeSec, mtimeNsec: this.minMtimeNsec } = findOldest(this.nodes));
    this.usesAcl = this.nodes.some(hasAcl);
  }

  #addInode(node: TreeNode): number {
    const inode = this.nodes.push(node) - 1;
    this.modes[inode] = node.mode;
    return inode;
  }

  #addChildren(directory: number, stubs: readonly string[]): void {
    const node = this.nodes[directory]!;
    const names = [".", "..", ...stubs, ...node.children!.keys()].sort();
    this.names[directory] = names;
    this.firstChildren[directory] = this.nodes.length;
    let directories = 0;
    let dots = 0;
    for (const name of names) {
      const child = node.children!.get(name);
      if (child === undefined) {
        if (name === "." || name === "..") dots++;
        else this.nlinks[this.#addInode(this.#stub)] = 1;
        continue;
      }
      const fault = findNameFault(name) ?? findNodeFault(child);
      if (fault !== undefined) throw createTreeError(`${this.#pathOf(directory)}/${name}`, fault);
      if (child.children !== undefined) {
        this.parents[this.#addInode(child)] = directory;
        directories++;
      } else if (this.#isHome(child, node, name)) {
        this.#addLeaf(child, directory);
      }
    }
    if (dots !== 2) throw createTreeError(this.#pathOf(directory), 'it has an entry named "." or ".."');
    this.nlinks[directory] = 2 + directories;
  }

  #addLeaf(node: TreeNode, directory: number): void {
    const inode = this.#addInode(node);
    const hardLink = this.#hardLinks.get(node);
    this.nlinks[inode] = node.nlink ?? hardLink?.nameCount ?? 1;
    if (hardLink !== undefined) this.#hardLinkNumbers.set(node, inode);
    if (!isWhiteout(node)) return;
    this.modes[inode] = S_IFREG | (node.mode & ~S_IFMT);
    this.#directoriesWithWhiteouts.add(directory);
  }

  #isHome(node: TreeNode, directory: TreeNode, name: string): boolean {
    const hardLink = this.#hardLinks.get(node);
    return hardLink === undefined || (hardLink.home.directory === directory && hardLink.home.name === name);
  }

  /** Visits the names of a directory with their inodes. */
  forEachEntry(directory: number, visit: (name: string, inode: number) => void): void {
    const node = this.nodes[directory]!;
    let next = this.firstChildren[directory]!;
    for (const name of this.names[directory]!) {
      const child = node.children!.get(name);
      if (child !== undefined)
        visit(name, this.#isHome(child, node, name) ? next++ : this.#hardLinkNumbers.get(child)!);
      else if (name === ".") visit(name, directory);
      else if (name === "..") visit(name, this.parents[directory]!);
      else visit(name, next++);
    }
  }

  /** The size that decides the inode's form; that of a device or FIFO is whatever the tree has. */
  statedSize(inode: number): number {
    const node = this.nodes[inode]!;
    const type = this.modes[inode]! & S_IFMT;
    if (type === S_IFLNK) return node.payload!.length;
    return type === S_IFREG && isWhiteout(node) ? 0 : node.sizeBytes;
  }

  isExternal(inode: number): boolean {
    const node = this.nodes[inode]!;
    return (node.mode & S_IFMT) === S_IFREG && node.sizeBytes > 0 && node.content === undefined;
  }

  /** The xattrs in the image, which overlayfs turns into those of the file. */
  collectXattrs(inode: number, list: XattrList): void {
    list.clear();
    const node = this.nodes[inode]!;
    if (node.xattrs !== undefined) this.#escapeXattrs(node.xattrs, list);
    if (this.isExternal(inode)) {
      list.set(this.#metacopy, node.verityDigest ?? "");
      if (node.payload) list.set(this.#redirect, node.payload);
    }
    if (this.modes[inode] !== (node.mode & 0xffff)) {
      list.set(this.xattrs.findName("trusted.overlay.overlay.whiteout"), "");
      list.set(this.xattrs.findName("user.overlay.whiteout"), "");
    }
    if (this.#directoriesWithWhiteouts.has(inode)) this.#markDirectory(list);
    if (inode === 0) list.set(this.xattrs.findName("trusted.overlay.opaque"), "y");
  }

  /** The tree may contain overlayfs layers, whose xattrs must have no effect here. */
  #escapeXattrs(xattrs: ReadonlyMap<string, Buffer>, list: XattrList): void {
    for (const [key, value] of xattrs) {
      const isOverlay = key.startsWith(OVERLAY_PREFIX);
      const escapedKey = isOverlay ? ESCAPED_PREFIX + key.slice(OVERLAY_PREFIX.length) : key;
      list.set(this.xattrs.findName(escapedKey), value.toString("latin1"));
    }
  }

  /** Marks a directory with escaped whiteouts for an overlayfs on top of the image. */
  #markDirectory(list: XattrList): void {
    list.set(this.xattrs.findName("trusted.overlay.overlay.whiteouts"), "");
    list.set(this.xattrs.findName("user.overlay.whiteouts"), "");
    if (this.formatVersion === 0) return;
    list.set(this.xattrs.findName("trusted.overlay.overlay.opaque"), "x");
    list.set(this.xattrs.findName("user.overlay.opaque"), "x");
  }

  #pathOf(directory: number): string {
    const parts: string[] = [];
    for (let inode = directory; inode !== 0; inode = this.parents[inode]!) {
      const siblings = this.nodes[this.parents[inode]!]!.children!;
      parts.unshift([...siblings.keys()].find((name) => siblings.get(name) === this.nodes[inode])!);
    }
    return parts.map((part) => `/${part}`).join("");
  }
}

/** Hides the objects directory's `00` to `ff` on kernels where it has to be an ordinary lower layer. */
function createStub({ uid, gid, mtimeSec, mtimeNsec, xattrs }: TreeNode): TreeNode {
  const label = xattrs?.get("security.selinux");
  const stubXattrs = label === undefined ? undefined : new Map([["security.selinux", label]]);
  return createNode(STUB_MODE, { uid, gid, mtimeSec, mtimeNsec, xattrs: stubXattrs });
}

function findOldest(nodes: readonly TreeNode[]): TreeNode {
  let oldest = nodes[0]!;
  for (const node of nodes) {
    const isOlder =
      node.mtimeSec < oldest.mtimeSec ||
      (node.mtimeSec === oldest.mtimeSec && node.mtimeNsec < oldest.mtimeNsec);
    if (isOlder) oldest = node;
  }
  return oldest;
}

function hasAcl({ xattrs }: TreeNode): boolean {
  return (
    xattrs !== undefined && (xattrs.has("system.posix_acl_access") || xattrs.has("system.posix_acl_default"))
  );
}
