/**
 * What holds of the image of every tree: it depends on nothing but the tree, it reads back as the tree,
 * and its parts lie where EROFS allows. Trees are random, from fixed seeds.
 */

import { describe, expect, test } from "vitest";
import { writeErofsImage } from "../../../agent/composefs/erofs-image.ts";
import { isWhiteout, S_IFMT, S_IFREG, type TreeNode } from "../../../agent/composefs/file-tree.ts";
import { parseDump } from "../../../scripts/composefs-dump/dump-parser.ts";
import { writeDump } from "../../../scripts/composefs-dump/dump-writer.ts";
import { ErofsReader, type ReadInode } from "./erofs-reader.ts";
import { createRandom, createRandomTree } from "./random-tree.ts";

const SEEDS = Array.from({ length: 60 }, (_, index) => index + 1);
const STUB_NAME = /^\/[0-9a-f]{2}$/;

/** The same tree with every directory's entries put in another order. */
function shuffle(root: TreeNode, seed: number): TreeNode {
  const random = createRandom(seed);
  const copies = new Map<TreeNode, TreeNode>();
  const copy = (node: TreeNode): TreeNode => {
    const known = copies.get(node);
    if (known !== undefined) return known;
    const entries = [...(node.children ?? [])].map(([name, child]) => ({
      name,
      child: copy(child),
      key: random(1e9),
    }));
    entries.sort((left, right) => left.key - right.key);
    const children = node.children && new Map(entries.map(({ name, child }) => [name, child]));
    const twin: TreeNode = { ...node, children, xattrs: node.xattrs && new Map([...node.xattrs].reverse()) };
    copies.set(node, twin);
    return twin;
  };
  return copy(root);
}

function listTree(root: TreeNode): Map<string, TreeNode> {
  const paths = new Map<string, TreeNode>([["/", root]]);
  const visit = (directory: TreeNode, path: string): void => {
    for (const [name, child] of directory.children!) {
      paths.set(`${path}/${name}`, child);
      if (child.children !== undefined) visit(child, `${path}/${name}`);
    }
  };
  visit(root, "");
  return paths;
}

describe.each(SEEDS)("the image of random tree %i", (seed) => {
  const tree = createRandomTree(seed);
  const image = writeErofsImage(tree);

  test("depends on the tree alone, not on the order of its entries", () => {
    expect(writeErofsImage(tree).equals(image)).toBe(true);
    expect(writeErofsImage(shuffle(tree, seed)).equals(image)).toBe(true);
  });

  test("is that of the tree's dump", () => {
    const text = [...writeDump(tree)].join("");
    const again = parseDump(Buffer.from(text, "latin1"));
    expect([...writeDump(again)].join("")).toBe(text);
    expect(writeErofsImage(again).equals(image)).toBe(true);
  });

  test("reads back as the tree", () => {
    const expected = listTree(tree);
    const nids = new Map<TreeNode, number>();
    const seen = new Set<string>();
    const reader = new ErofsReader(image);
    reader.walk((path, inode) => {
      const node = expected.get(path);
      if (node === undefined) {
        expect(path).toMatch(STUB_NAME);
        expect(inode).toMatchObject({ mode: 0o20644, rdev: 0 });
        return;
      }
      seen.add(path);
      expect(nids.get(node) ?? inode.nid, "hard links share an inode").toBe(inode.nid);
      nids.set(node, inode.nid);
      compare(path, node, inode);
    });
    expect([...expected.keys()].filter((path) => !seen.has(path))).toEqual([]);
    const stubs = Array.from({ length: 256 }, (_, index) => index.toString(16).padStart(2, "0"));
    const stubCount = stubs.filter((name) => !tree.children!.has(name)).length;
    expect(reader.inodeCount).toBe(new Set(expected.values()).size + stubCount);
  });
});

function compare(path: string, node: TreeNode, inode: ReadInode): void {
  const mode = isWhiteout(node) ? S_IFREG | (node.mode & ~S_IFMT) : node.mode;
  expect(inode.mode, path).toBe(mode);
  expect([inode.uid, inode.gid], path).toEqual([node.uid, node.gid]);
  expect([inode.mtimeSec, inode.mtimeNsec], path).toEqual([BigInt(node.mtimeSec), node.mtimeNsec]);
  if (node.payload !== undefined && inode.data !== undefined && (mode & S_IFMT) === 0o120000) {
    expect(inode.data.toString("latin1"), path).toBe(node.payload);
  }
  if (node.content !== undefined) expect(inode.data, path).toEqual(node.content);
  if ((mode & S_IFMT) === S_IFREG && !isWhiteout(node)) expect(inode.size, path).toBe(BigInt(node.sizeBytes));
  for (const [key, value] of node.xattrs ?? []) {
    const escaped = key.replace(/^trusted\.overlay\./, "trusted.overlay.overlay.");
    const isReplaced =
      escaped === "trusted.overlay.overlay.opaque" && inode.xattrs.has("user.overlay.whiteouts");
    if (!isReplaced) expect(inode.xattrs.get(escaped), `${path} ${key}`).toEqual(value);
  }
  if (inode.layout === 4) {
    expect(inode.xattrs.get("trusted.overlay.redirect")?.toString("latin1"), path).toBe(
      node.payload && `/${node.payload}`,
    );
    const metacopy = inode.xattrs.get("trusted.overlay.metacopy")!.toString("hex");
    expect(metacopy, path).toBe(node.verityDigest === undefined ? "" : `00240001${node.verityDigest}`);
  }
}
