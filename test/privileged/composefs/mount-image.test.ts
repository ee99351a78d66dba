/**
 * A real kernel mounts our images: EROFS through a loop device, overlayfs over it with the objects as data-only layer.
 * Files read back as they were put in, and fsck.erofs finds nothing to say.
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeErofsImage } from "../../../agent/composefs/erofs-image.ts";
import {
  createNode,
  makeDevice,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFREG,
  type TreeNode,
} from "../../../agent/composefs/file-tree.ts";
import { computeFsVerityDigest } from "../../../agent/composefs/fsverity.ts";
import { formatObjectPath } from "../../../agent/composefs/object-repository.ts";
import { ensureToolsRoot, type ToolsRoot } from "../../../qemu/tools-root.ts";
import { parseDump } from "../../../scripts/composefs-dump/dump-parser.ts";
import { createRandomTree } from "../../unit/composefs/random-tree.ts";

const golden = new URL("../../golden/composefs/", import.meta.url);
const directory = mkdtempSync(join(tmpdir(), "composefs-"));
const objects = join(directory, "objects");
const mounted: string[] = [];

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ["ignore", "pipe", "pipe"] });
}

/** Mounts the image of a tree; read-only, or with a writable upper on a tmpfs. */
function mountTree(name: string, tree: TreeNode, isWritable: boolean): string {
  const place = (part: string) => {
    const path = join(directory, name, part);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const image = join(place("."), "image");
  writeFileSync(image, writeErofsImage(tree));
  const metadata = place("metadata");
  run("mount", "-t", "erofs", "-o", "ro,loop", image, metadata);
  mounted.push(metadata);
  let options = `metacopy=on,redirect_dir=on,lowerdir=${metadata}::${objects}`;
  if (isWritable) {
    const state = place("state");
    run("mount", "-t", "tmpfs", "tmpfs", state);
    mounted.push(state);
    mkdirSync(join(state, "upper"));
    mkdirSync(join(state, "work"));
    options += `,upperdir=${join(state, "upper")},workdir=${join(state, "work")}`;
  } else options += ",ro";
  const target = place("root");
  run("mount", "-t", "overlay", "composefs", "-o", options, target);
  mounted.push(target);
  return target;
}

function putObject(content: Buffer): Partial<TreeNode> {
  const verityDigest = computeFsVerityDigest(content).toString("hex");
  const payload = formatObjectPath(verityDigest);
  mkdirSync(join(objects, dirname(payload)), { recursive: true });
  writeFileSync(join(objects, payload), content);
  return { verityDigest, payload, sizeBytes: content.length };
}

const CONTENTS = [65, 4095, 4096, 4097, 1_000_000].map((size) => Buffer.alloc(size, `${size} `));
const small = Buffer.from("small enough to be inside\n");

function buildTree(): TreeNode {
  const root = createNode(S_IFDIR | 0o755, { mtimeSec: 1_700_000_000 });
  const add = (parent: TreeNode, name: string, node: TreeNode) => {
    parent.children!.set(name, node);
    return node;
  };
  const etc = add(
    root,
    "etc",
    createNode(S_IFDIR | 0o751, { uid: 5, gid: 6, mtimeSec: 1_600_000_000, mtimeNsec: 123_456_789 }),
  );
  const hello = add(
    etc,
    "hello",
    createNode(S_IFREG | 0o4755, { content: small, sizeBytes: small.length, mtimeSec: -5 }),
  );
  add(etc, "same", hello);
  add(etc, "link", createNode(S_IFLNK | 0o777, { payload: "hello" }));
  add(etc, "long", createNode(S_IFLNK | 0o777, { payload: "x".repeat(4095) }));
  add(etc, "empty", createNode(S_IFREG | 0o600, { uid: 4_000_000_000 }));
  add(etc, "null", createNode(S_IFCHR | 0o666, { rdev: makeDevice(1, 3) }));
  add(root, "00", createNode(S_IFDIR | 0o755));
  const xattrs = new Map([["user.note", Buffer.from([1, 0, 255])]]);
  for (const content of CONTENTS) {
    add(root, `file-${content.length}`, createNode(S_IFREG | 0o644, { ...putObject(content), xattrs }));
  }
  const many = add(root, "many", createNode(S_IFDIR | 0o755));
  for (let index = 0; index < 2000; index++) {
    add(
      many,
      `name-${index}-${"n".repeat(index % 200)}`,
      createNode(S_IFREG | 0o644, { content: small, sizeBytes: small.length }),
    );
  }
  return root;
}

let tools: ToolsRoot;
beforeAll(async () => {
  mkdirSync(objects, { recursive: true });
  tools = await ensureToolsRoot({ log: () => {} });
}, 600_000);

afterAll(() => {
  for (const path of mounted.reverse()) run("umount", path);
  rmSync(directory, { recursive: true });
});

describe("a mounted image", () => {
  test("shows the tree", () => {
    const root = mountTree("shows", buildTree(), false);
    expect(readdirSync(root).sort()).toEqual(
      ["00", "etc", ...CONTENTS.map(({ length }) => `file-${length}`), "many"].sort(),
    );
    for (const content of CONTENTS)
      expect(readFileSync(join(root, `file-${content.length}`)).equals(content)).toBe(true);
    expect(statSync(join(root, "etc"), { bigint: true })).toMatchObject({
      mode: 0o40751n,
      uid: 5n,
      gid: 6n,
      mtimeNs: 1_600_000_000_123_456_789n,
    });
    const hello = lstatSync(join(root, "etc/hello"));
    expect(hello).toMatchObject({ mode: 0o104755, nlink: 2, size: small.length, mtimeMs: -5000 });
    expect(lstatSync(join(root, "etc/same")).ino).toBe(hello.ino);
    expect(readFileSync(join(root, "etc/link"))).toEqual(small);
    expect(readlinkSync(join(root, "etc/long"))).toBe("x".repeat(4095));
    expect(statSync(join(root, "etc/empty"))).toMatchObject({ size: 0, uid: 4_000_000_000 });
    expect(statSync(join(root, "etc/null")).rdev).toBe(0x103);
    expect(readdirSync(join(root, "many"))).toHaveLength(2000);
    for (const name of readdirSync(join(root, "many")))
      expect(readFileSync(join(root, "many", name))).toEqual(small);
  });

  test("writes to the upper directory and does not change the image", () => {
    const root = mountTree("writes", buildTree(), true);
    writeFileSync(join(root, "etc/hello"), "changed");
    writeFileSync(join(root, "etc/new"), "new");
    rmSync(join(root, "many"), { recursive: true });
    rmSync(join(root, "file-4096"));
    expect(readFileSync(join(root, "etc/hello"), "utf8")).toBe("changed");
    expect(readFileSync(join(root, "file-1000000")).equals(CONTENTS.at(-1)!)).toBe(true);
    expect(readdirSync(root)).not.toContain("many");
    expect(readFileSync(join(directory, "writes/metadata/etc/hello"))).toEqual(small);
  });

  test("reports a missing object as an error, not as other bytes", () => {
    const tree = buildTree();
    const verityDigest = createHash("sha256").update("missing").digest("hex");
    tree.children!.set(
      "missing",
      createNode(S_IFREG | 0o644, { verityDigest, payload: formatObjectPath(verityDigest), sizeBytes: 10 }),
    );
    const root = mountTree("missing", tree, false);
    expect(() => readFileSync(join(root, "missing"))).toThrow(/ENOENT|EIO/);
    expect(readFileSync(join(root, "file-65")).equals(CONTENTS[0]!)).toBe(true);
  });
});

describe("fsck.erofs accepts the image of", () => {
  const check = async (name: string, tree: TreeNode) => {
    for (const formatVersion of [0, 1] as const) {
      const path = join(directory, `${name}.erofs`);
      writeFileSync(path, writeErofsImage(tree, { formatVersion }));
      await tools.run("fsck.erofs", [path]);
    }
  };

  const dumps = readdirSync(golden).filter((name) => name.endsWith(".dump"));
  test.each(dumps)("%s", (name) => check(name, parseDump(readFileSync(new URL(name, golden)))));

  test("random trees", async () => {
    for (let seed = 1; seed <= 10; seed++) await check(`random-${seed}`, createRandomTree(seed));
  });
});
