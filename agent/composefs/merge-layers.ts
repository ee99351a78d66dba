/**
 * Merges the layers of an image into one file tree, by either of two rules.
 * `mount`: what overlayfs shows of layers unpacked one by one (OCI image-spec, layer.md), for use as a root.
 * `composefs-rs`: the entries in the order of the streams, as composefs-rs does, for the digest that its tools state.
 */

import { TREE_MAX_DEPTH } from "../limits.ts";
import { findNameFault, findNodeFault } from "./check-tree.ts";
import { createNode, isDirectory, S_IFDIR, type TreeNode } from "./file-tree.ts";
import { placeRefused, walkTree } from "./walk-tree.ts";

/** One member of a layer's archive, in stream order. */
export interface LayerEntry {
  /** As the archive has it, latin1; `./` and slashes at either end do not matter. */
  path: string;
  /** What it makes: a node of its own… */
  node?: TreeNode;
  /** …or one more name of a node that is there: the path of a hard link's target. */
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

/** The parts of an archive's path; `.` and empty parts go, `..` is refused where it would leave the root. */
export function splitLayerPath(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined)
      throw placeRefused(path, "it leads out of the root", "ARCHIVE_UNSAFE_MEMBER");
  }
  if (parts.length > TREE_MAX_DEPTH) throw placeRefused(path, `it has more than ${TREE_MAX_DEPTH} parts`);
  for (const part of parts) {
    const fault = findNameFault(part);
    if (fault !== undefined) throw placeRefused(path, fault);
  }
  return parts;
}

/** composefs-rs's process_entry: one tree, changed entry by entry. */
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
        throw placeRefused(entry.path, "the root is no directory");
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
    if (node === undefined || isDirectory(node))
      throw placeRefused(entry.path, `its target "${entry.linkPath}" is no file`);
    return node;
  }

  #findDirectory(parts: readonly string[], path: string): TreeNode {
    let directory = this.root;
    for (const part of parts) {
      const child = directory.children!.get(part);
      if (child === undefined || !isDirectory(child))
        throw placeRefused(path, `"${part}" on its way is no directory`);
      directory = child;
    }
    return directory;
  }
}

/** What a layer says beside its files, kept apart from the tree until it is merged. */
interface LayerMarks {
  whiteouts: Map<TreeNode, Set<string>>;
  opaque: Set<TreeNode>;
  /** Directories that no entry made: they lend a place and keep the metadata of what they cover. */
  implicit: Set<TreeNode>;
}

/** Each layer is unpacked into a tree of its own, which is then laid over what the lower ones gave. */
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
  /** A path up to its last slash, and where it leads. */
  #nearPath: string | undefined;
  #nearDirectory = this.root;

  constructor(lower: TreeNode) {
    this.#lower = lower;
  }

  addEntry(entry: LayerEntry): void {
    const { directory, name } = this.#findPlace(entry);
    if (name === undefined) {
      if (entry.node === undefined || !isDirectory(entry.node))
        throw placeRefused(entry.path, "the root is no directory");
      copyMetadata(entry.node, this.root);
      this.marks.implicit.delete(this.root);
    } else if (name === OPAQUE_MARK) {
      this.marks.opaque.add(directory);
    } else if (name.startsWith(WHITEOUT_PREFIX)) {
      this.#addWhiteout(directory, name.slice(WHITEOUT_PREFIX.length), entry.path);
    } else {
      // What is replaced may have been on the way to the directory that is remembered.
      if (directory.children!.has(name)) this.#nearPath = undefined;
      const node = entry.node ?? this.#findLinkTarget(entry);
      putNode(directory, name, node, entry.path);
      const placed = directory.children!.get(name)!;
      this.marks.implicit.delete(placed);
    }
  }

  /** Members of one directory mostly stand together, and then the way to it is walked once. */
  #findPlace({ path }: LayerEntry): { directory: TreeNode; name: string | undefined } {
    const nameAt = path.lastIndexOf("/") + 1;
    const last = path.slice(nameAt);
    const isPlain = findNameFault(last) === undefined;
    if (isPlain && path.slice(0, nameAt) === this.#nearPath) {
      return { directory: this.#nearDirectory, name: last };
    }
    const parts = splitLayerPath(path);
    const name = parts.pop();
    const directory = name === undefined ? this.root : this.#makeDirectory(parts, path);
    if (isPlain) {
      this.#nearPath = path.slice(0, nameAt);
      this.#nearDirectory = directory;
    }
    return { directory, name };
  }

  /** A whiteout hides what is below, never what its own layer brings, whichever comes first. */
  #addWhiteout(directory: TreeNode, name: string, path: string): void {
    const fault = findNameFault(name);
    if (fault !== undefined) throw placeRefused(path, fault);
    const names = this.marks.whiteouts.get(directory);
    if (names === undefined) this.marks.whiteouts.set(directory, new Set([name]));
    else names.add(name);
  }

  /** Unpackers make the directories an archive forgot; symlinks of the same layer are followed inside the root. */
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

  /** Layers carry their hard links' targets along; an old builder's may mean a file of a lower layer. */
  #findLinkTarget(entry: LayerEntry): TreeNode {
    const parts = splitLayerPath(entry.linkPath ?? "");
    const node = findNode(this.root, parts) ?? findNode(this.#lower, parts);
    if (node === undefined || isDirectory(node))
      throw placeRefused(entry.path, `its target "${entry.linkPath}" is no file`);
    return node;
  }
}

function findNode(root: TreeNode, parts: readonly string[]): TreeNode | undefined {
  let node: TreeNode | undefined = root;
  for (const part of parts) node = node?.children?.get(part);
  return node;
}

/** Lays `upper` over `lower`, which is changed. */
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

/** A directory on a directory keeps what is in it; anything else replaces what was there. */
function putNode(directory: TreeNode, name: string, node: TreeNode, path: string): void {
  const fault = findNodeFault(node);
  if (fault !== undefined) throw placeRefused(path, fault);
  const old = directory.children!.get(name);
  if (old !== undefined && isDirectory(old) && isDirectory(node)) copyMetadata(node, old);
  else directory.children!.set(detach(name), node);
}

/** Shorter parts of a text are copies of their own in V8, longer ones keep the whole text they are a part of. */
const PART_MIN_CHARACTERS = 13;

/** A name that 100,000 nodes may keep, without the path it was cut from. */
function detach(name: string): string {
  return name.length < PART_MIN_CHARACTERS ? name : Buffer.from(name, "latin1").toString("latin1");
}

function copyMetadata(from: TreeNode, to: TreeNode): void {
  to.mode = from.mode;
  to.uid = from.uid;
  to.gid = from.gid;
  to.mtimeSec = from.mtimeSec;
  to.mtimeNsec = from.mtimeNsec;
  to.xattrs = from.xattrs;
}
