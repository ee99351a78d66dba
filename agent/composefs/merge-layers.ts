/**
 * Merges the layers of an image into one file tree, by one of two sets of rules.
 * `mount`: as overlayfs shows layers that were unpacked separately (OCI image-spec, layer.md), for use as a root.
 * `composefs-rs`: entry by entry in stream order, as composefs-rs does, for the digest that its tools print.
 */

import { TREE_MAX_DEPTH } from "../limits.ts";
import { findNameFault, findNodeFault } from "./check-tree.ts";
import { createNode, isDirectory, S_IFDIR, type TreeNode } from "./file-tree.ts";
import { createPathError, requireLeaf, walkTree } from "./walk-tree.ts";

/** One member of a layer's archive, in stream order. */
export interface LayerEntry {
  /** As in the archive, latin1; `./` and slashes at either end have no effect. */
  path: string;
  /** A new node… */
  node?: TreeNode;
  /** …or, for a hard link, the path of its target. */
  linkPath?: string;
}

export type MergeRules = "mount" | "composefs-rs";

const WHITEOUT_PREFIX = ".wh.";
const OPAQUE_MARK = ".wh..wh..opq";
const IMPLICIT_DIRECTORY_MODE = S_IFDIR | 0o755;
const DEFAULT_ROOT_MODE = S_IFDIR | 0o755;

/** The merged tree; the entries' nodes become part of it. Throws LAYER_TREE_INVALID. */
export function mergeLayers(layers: Iterable<Iterable<LayerEntry>>, rules: MergeRules): TreeNode {
  const merger = rules === "mount" ? new OverlayMerger() : new StreamMerger();
  for (const layer of layers) merger.addLayer(layer);
  return merger.root;
}

/** The parts of a path, without `.` and empty ones. Throws for a `..` that leaves the root. */
export function splitLayerPath(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined)
      throw createPathError(path, "it points outside the root", "ARCHIVE_UNSAFE_MEMBER");
  }
  if (parts.length > TREE_MAX_DEPTH) throw createPathError(path, `it has more than ${TREE_MAX_DEPTH} parts`);
  for (const part of parts) {
    const fault = findNameFault(part);
    if (fault !== undefined) throw createPathError(path, fault);
  }
  return parts;
}

/** composefs-rs's process_entry: each entry changes the same tree. */
class StreamMerger {
  readonly root = createNode(DEFAULT_ROOT_MODE);

  addLayer(entries: Iterable<LayerEntry>): void {
    for (const entry of entries) this.#addEntry(entry);
  }

  #addEntry(entry: LayerEntry): void {
    const parts = splitLayerPath(entry.path);
    const name = parts.pop();
    if (name === undefined) {
      if (entry.node === undefined || !isDirectory(entry.node))
        throw createPathError(entry.path, "the root is not a directory");
      copyMetadata(entry.node, this.root);
      return;
    }
    const node = entry.node ?? this.#findLeaf(entry);
    const directory = this.#findDirectory(parts, entry.path);
    if (name === OPAQUE_MARK) directory.children!.clear();
    else if (name.startsWith(WHITEOUT_PREFIX)) directory.children!.delete(name.slice(WHITEOUT_PREFIX.length));
    else putNode(directory, name, node, entry.path);
  }

  #findLeaf(entry: LayerEntry): TreeNode {
    const parts = splitLayerPath(entry.linkPath ?? "");
    const name = parts.pop() ?? "";
    const node = this.#findDirectory(parts, entry.path).children!.get(name);
    return requireLeaf(node, entry.path, entry.linkPath);
  }

  #findDirectory(parts: readonly string[], path: string): TreeNode {
    let directory = this.root;
    for (const part of parts) {
      const child = directory.children!.get(part);
      if (child === undefined || !isDirectory(child))
        throw createPathError(path, `its parent "${part}" is not a directory`);
      directory = child;
    }
    return directory;
  }
}

/** What a layer says besides its files, for the merge. */
interface LayerMarks {
  whiteouts: Map<TreeNode, Set<string>>;
  opaque: Set<TreeNode>;
  /** Parents without an entry of their own; they keep the metadata of the directories below. */
  implicit: Set<TreeNode>;
}

/** Unpacks each layer into a tree of its own and puts it over the lower layers. */
class OverlayMerger {
  root = createNode(DEFAULT_ROOT_MODE);

  addLayer(entries: Iterable<LayerEntry>): void {
    const upper = new LayerUnpacker(this.root);
    for (const entry of entries) upper.addEntry(entry);
    overlay(this.root, upper.root, upper.marks);
  }
}

class LayerUnpacker {
  readonly root = createNode(DEFAULT_ROOT_MODE);
  readonly marks: LayerMarks = { whiteouts: new Map(), opaque: new Set(), implicit: new Set([this.root]) };
  readonly #lower: TreeNode;

  constructor(lower: TreeNode) {
    this.#lower = lower;
  }

  addEntry(entry: LayerEntry): void {
    const parts = splitLayerPath(entry.path);
    const name = parts.pop();
    const directory = this.#makeDirectory(parts, entry.path);
    if (name === undefined) {
      if (entry.node === undefined || !isDirectory(entry.node))
        throw createPathError(entry.path, "the root is not a directory");
      copyMetadata(entry.node, this.root);
      this.marks.implicit.delete(this.root);
    } else if (name === OPAQUE_MARK) {
      this.marks.opaque.add(directory);
    } else if (name.startsWith(WHITEOUT_PREFIX)) {
      this.#addWhiteout(directory, name.slice(WHITEOUT_PREFIX.length), entry.path);
    } else {
      const node = entry.node ?? this.#findLinkTarget(entry);
      putNode(directory, name, node, entry.path);
      const placed = directory.children!.get(name)!;
      this.marks.implicit.delete(placed);
    }
  }

  /** A whiteout hides files of lower layers, never of its own layer, wherever it is in the stream. */
  #addWhiteout(directory: TreeNode, name: string, path: string): void {
    const fault = findNameFault(name);
    if (fault !== undefined) throw createPathError(path, fault);
    const names = this.marks.whiteouts.get(directory);
    if (names === undefined) this.marks.whiteouts.set(directory, new Set([name]));
    else names.add(name);
  }

  /** Creates missing directories; symlinks of the same layer are followed. */
  #makeDirectory(parts: readonly string[], path: string): TreeNode {
    return walkTree(this.root, parts, {
      path,
      onMissing: (directory, name) => this.#addImplicit(directory, name),
    })!;
  }

  #addImplicit(directory: TreeNode, name: string): TreeNode {
    const node = createNode(IMPLICIT_DIRECTORY_MODE, { mtimeSec: directory.mtimeSec });
    directory.children!.set(name, node);
    this.marks.implicit.add(node);
    return node;
  }

  /** The target is in the same layer, or with old builders in a lower one. */
  #findLinkTarget(entry: LayerEntry): TreeNode {
    const parts = splitLayerPath(entry.linkPath ?? "");
    return requireLeaf(
      findNode(this.root, parts) ?? findNode(this.#lower, parts),
      entry.path,
      entry.linkPath,
    );
  }
}

function findNode(root: TreeNode, parts: readonly string[]): TreeNode | undefined {
  let node: TreeNode | undefined = root;
  for (const part of parts) node = node?.children?.get(part);
  return node;
}

/** Changes `lower`. */
function overlay(lower: TreeNode, upper: TreeNode, marks: LayerMarks): void {
  if (!marks.implicit.has(upper)) copyMetadata(upper, lower);
  if (marks.opaque.has(upper)) lower.children!.clear();
  for (const name of marks.whiteouts.get(upper) ?? []) lower.children!.delete(name);
  for (const [name, child] of upper.children!) {
    const covered = lower.children!.get(name);
    if (isDirectory(child) && covered !== undefined && isDirectory(covered)) overlay(covered, child, marks);
    else lower.children!.set(name, child);
  }
}

/** A directory keeps the entries of the directory that it replaces. */
function putNode(directory: TreeNode, name: string, node: TreeNode, path: string): void {
  const fault = findNodeFault(node);
  if (fault !== undefined) throw createPathError(path, fault);
  const old = directory.children!.get(name);
  if (old !== undefined && isDirectory(old) && isDirectory(node)) copyMetadata(node, old);
  else directory.children!.set(name, node);
}

function copyMetadata(from: TreeNode, to: TreeNode): void {
  to.mode = from.mode;
  to.uid = from.uid;
  to.gid = from.gid;
  to.mtimeSec = from.mtimeSec;
  to.mtimeNsec = from.mtimeNsec;
  to.xattrs = from.xattrs;
}
