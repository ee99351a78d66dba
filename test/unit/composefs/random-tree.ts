/**
 * Random file trees from a seed, for properties that must hold of every tree.
 * Odd names, shared xattrs, hard links, whiteouts, sizes at the edges: whatever a layout decision depends on.
 */

import { createHash } from "node:crypto";
import {
  createNode,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFREG,
  S_IFSOCK,
  type TreeNode,
} from "../../../agent/composefs/file-tree.ts";

export type Random = (limit: number) => number;

/** mulberry32: whole numbers from 0 to below the limit. */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

const KEYS = [
  "user.a",
  "security.selinux",
  "trusted.overlay.opaque",
  "trusted.x",
  "system.posix_acl_access",
  "other",
];
const VALUES = ["", "y", "system_u:object_r:usr_t:s0\0", "\x00\xff=", "v".repeat(200)];
const SIZES = [0, 1, 4096, 4097, 2 ** 32 - 1, 2 ** 32, 2 ** 43, 2 ** 43 + 1, 1019 * 2 ** 43, 2 ** 53];
const CONTENT_SIZES = [1, 64, 65, 2048, 2049, 4096, 5000];
const TARGET_SIZES = [1, 20, 63, 64, 2000, 3900, 4030, 4095];

export function createRandomTree(seed: number): TreeNode {
  const random = createRandom(seed);
  const root = createNode(S_IFDIR | 0o755, createMetadata(random));
  const directories = [root];
  const leaves: TreeNode[] = [];
  const count = [0, 5, 60, 400][random(4)]!;
  for (let index = 0; index < count; index++) {
    const directory = directories[random(directories.length)]!;
    const name = createName(random, index);
    if (name === "." || name === ".." || directory.children!.has(name)) continue;
    const choice = random(10);
    if (choice === 0) {
      const node = createNode(S_IFDIR | 0o700, createMetadata(random));
      directory.children!.set(name, node);
      directories.push(node);
    } else if (choice === 1 && leaves.length > 0) {
      directory.children!.set(name, leaves[random(leaves.length)]!);
    } else {
      const node = createLeaf(random, choice);
      directory.children!.set(name, node);
      leaves.push(node);
    }
  }
  return root;
}

function createLeaf(random: Random, choice: number): TreeNode {
  const fields = createMetadata(random);
  if (choice === 2) {
    return createNode(S_IFLNK | 0o777, {
      ...fields,
      payload: "t".repeat(TARGET_SIZES[random(TARGET_SIZES.length)]!),
    });
  }
  if (choice === 3) return createNode(S_IFCHR | 0o600, { ...fields, rdev: random(2) * (1 + random(1000)) });
  if (choice === 4) return createNode([S_IFBLK, S_IFIFO, S_IFSOCK][random(3)]! | 0o600, fields);
  if (choice === 5) {
    const content = Buffer.alloc(CONTENT_SIZES[random(CONTENT_SIZES.length)]!, random(256));
    return createNode(S_IFREG | 0o644, { ...fields, content, sizeBytes: content.length });
  }
  const verityDigest = createHash("sha256")
    .update(`${random(50)}`)
    .digest("hex");
  const payload = `${verityDigest.slice(0, 2)}/${verityDigest.slice(2)}`;
  const sizeBytes = SIZES[random(SIZES.length)]!;
  const points = random(4) > 0 ? { verityDigest, payload } : {};
  return createNode(S_IFREG | 0o644, { ...fields, sizeBytes, ...points });
}

function createMetadata(random: Random): Partial<TreeNode> {
  const xattrs = new Map<string, Buffer>();
  for (let left = random(3) === 0 ? random(5) : 0; left > 0; left--) {
    xattrs.set(KEYS[random(KEYS.length)]!, Buffer.from(VALUES[random(VALUES.length)]!, "latin1"));
  }
  return {
    uid: [0, 1000, 65_535, 65_536][random(4)]!,
    gid: [0, 70_000][random(2)]!,
    mtimeSec: [0, -5, 1_700_000_000, 2 ** 40][random(4)]!,
    mtimeNsec: random(2) * random(1_000_000_000),
    xattrs: xattrs.size === 0 ? undefined : xattrs,
  };
}

function createName(random: Random, index: number): string {
  const kind = random(8);
  if (kind === 0) return random(256).toString(16).padStart(2, "0");
  if (kind === 1) return `n${"x".repeat(200 + random(50))}${index}`;
  if (kind > 2) return `file-${random(100_000)}`;
  const bytes = Array.from({ length: 1 + random(12) }, () => 1 + random(255));
  return String.fromCharCode(...bytes).replaceAll("/", "_");
}
