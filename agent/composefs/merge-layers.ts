/**
 * Merges the layers of an image into one file tree, by one of two sets of rules.
 * `mount`: as overlayfs shows layers that were unpacked separately (OCI image-spec, layer.md), for use as a root.
 * `composefs-rs`: entry by entry in stream order, as composefs-rs does, for the digest that its tools print.
 */

import { splitMemberPath } from "../archive/member-path.ts";
import { AgentError } from "../errors.ts";
import { readLayerName } from "../oci/whiteout.ts";
import { findNodeFault } from "./check-tree.ts";
import { createNode, isDirectory, isWhiteout, S_IFDIR, S_IFMT, S_IFREG, type TreeNode } from "./file-tree.ts";
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

/** The merged tree; the entries' nodes become part of it. Throws ARCHIVE_BAD_MEMBER and ARCHIVE_UNSAFE_MEMBER. */
export function mergeLayers(layers: Iterable<Iterable<LayerEntry>>, rules: MergeRules): TreeNode {
  const merger = rules === "mount" ? new OverlayMerger() : new StreamMerger();
  for (const layer of layers) merger.addLayer(layer);
  return merger.root;
}

/** composefs-rs's process_entry: each entry changes the same tree. */
class StreamMerger {
  readonly root = createNode(DEFAULT_ROOT_MODE);

  addLayer(entries: Iterable<LayerEntry>): void {
    for (const entry of entries) this.#addEntry(entry);
  }

  #addEntry(entry: LayerEntry): void {
    const parts = splitMemberPath(entry.path);
    const name = parts.pop();
    if (name === undefined) {
      copyMetadata(requireDirectory(entry), this.root);
      return;
    }
    const node = entry.node ?? this.#findLeaf(entry);
    const directory = this.#findDirectory(parts, entry.path);
    if (name === OPAQUE_MARK) directory.children!.clear();
    else if (name.startsWith(WHITEOUT_PREFIX)) directory.children!.delete(name.slice(WHITEOUT_PREFIX.length));
    else putNode(directory, name, node, entry.path);
  }

  #findLeaf(entry: LayerEntry): TreeNode {
    const parts = splitMemberPath(entry.linkPath ?? "");
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
    const upper = new LayerUnpacker();
    for (const entry of entries) upper.addEntry(entry);
    overlay(this.root, upper.root, upper.marks);
  }
}

class LayerUnpacker {
  readonly root = createNode(DEFAULT_ROOT_MODE);
  readonly marks: LayerMarks = { whiteouts: new Map(), opaque: new Set(), implicit: new Set([this.root]) };

  addEntry(entry: LayerEntry): void {
    const parts = splitMemberPath(entry.path);
    const layerName = readLayerName(parts);
    if (layerName.kind === "ignored") return;
    const name = parts.pop();
    if (name === undefined) {
      copyMetadata(requireDirectory(entry), this.root);
      this.marks.implicit.delete(this.root);
      return;
    }
    // Creates missing directories; symlinks of the same layer are followed.
    const directory = walkTree(this.root, parts, entry.path, (parent, missing) =>
      this.#addImplicit(parent, missing),
    );
    if (layerName.kind === "opaque") this.marks.opaque.add(directory);
    else if (layerName.kind === "whiteout") this.#addWhiteout(directory, layerName.hidden);
    else if (entry.node !== undefined && isWhiteout(entry.node)) {
      // As overlayfs shows it.
      directory.children!.delete(name);
      this.#addWhiteout(directory, name);
    } else {
      const node = entry.node ?? findLinkTarget(this.root, [], entry, directory.children!.get(name));
      dropXattrs(node);
      putNode(directory, name, node, entry.path);
      this.marks.implicit.delete(directory.children!.get(name)!);
    }
  }

  /** A whiteout hides files of lower layers, never of its own layer, wherever it is in the stream. */
  #addWhiteout(directory: TreeNode, name: string): void {
    const names = this.marks.whiteouts.get(directory);
    if (names === undefined) this.marks.whiteouts.set(directory, new Set([name]));
    else names.add(name);
  }

  #addImplicit(directory: TreeNode, name: string): TreeNode {
    const node = createNode(IMPLICIT_DIRECTORY_MODE);
    directory.children!.set(name, node);
    this.marks.implicit.add(node);
    return node;
  }
}

/**
 * The target of a hard link must be an earlier member of the archive, or for an archive that is added to a root, any file there.
 * `existing` has the name already.
 */
function findLinkTarget(
  root: TreeNode,
  base: readonly string[],
  { path, linkPath = "" }: LayerEntry,
  existing: TreeNode | undefined,
): TreeNode {
  const parts = splitMemberPath(linkPath);
  const name = parts.pop() ?? "";
  const node = walkTree(root, [...base, ...parts], path).children!.get(name);
  if (existing !== undefined && isDirectory(existing))
    throw createPathError(path, "a hard link would replace a directory");
  return requireLeaf(node, path, linkPath);
}

function requireDirectory({ path, node }: LayerEntry): TreeNode {
  if (node !== undefined && isDirectory(node)) return node;
  throw createPathError(path, "it would replace the root", "ARCHIVE_UNSAFE_MEMBER");
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

/** Those that could not be set on a file: overlayfs's own, and user's on symlinks and devices. */
function dropXattrs(node: TreeNode): void {
  const takesUsers = isDirectory(node) || (node.mode & S_IFMT) === S_IFREG;
  for (const name of node.xattrs?.keys() ?? [])
    if (name.startsWith("trusted.overlay.") || (!takesUsers && name.startsWith("user.")))
      node.xattrs!.delete(name);
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

/**
 * Adds an archive to a tree as if it were unpacked into the mounted root: symlinks are followed inside the tree, existing
 * directories keep their metadata, and everything else replaces what is at its path. Throws as `mergeLayers` does.
 */
export function placeArchive(root: TreeNode, to: string, entries: Iterable<LayerEntry>): void {
  const base = splitMemberPath(to);
  /** Directories that the archive made. */
  const made = new Set<TreeNode>();
  const open = (parts: readonly string[], path: string) =>
    walkTree(root, parts, path, (directory, name) => {
      const node = createNode(IMPLICIT_DIRECTORY_MODE);
      directory.children!.set(name, node);
      made.add(node);
      return node;
    });
  open(base, to);
  for (const entry of entries) {
    const parts = splitMemberPath(entry.path);
    const name = parts.pop();
    const directory = open([...base, ...parts], entry.path);
    const existing = name === undefined ? directory : directory.children!.get(name);
    const node = name === undefined ? requireDirectory(entry) : entry.node;
    if (node !== undefined && isDirectory(node)) {
      if (existing !== undefined && isDirectory(existing)) {
        if (made.has(existing)) copyMetadata(node, existing);
        continue;
      }
      if (existing !== undefined && leadsToDirectory(root, [...base, ...parts, name!])) continue;
      made.add(node);
    }
    if (node !== undefined && isWhiteout(node))
      throw createPathError(entry.path, "overlayfs has no device 0:0");
    if (node !== undefined) dropXattrs(node);
    putNode(directory, name!, node ?? findLinkTarget(root, base, entry, existing), entry.path);
  }
}

function leadsToDirectory(root: TreeNode, parts: readonly string[]): boolean {
  try {
    walkTree(root, parts, "");
    return true;
  } catch (error) {
    if (error instanceof AgentError) return false;
    throw error;
  }
}
