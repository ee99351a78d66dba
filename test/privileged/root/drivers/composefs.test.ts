import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatObjectPath } from "../../../../agent/composefs/object-repository.ts";
import { computeDigest } from "../../../../agent/oci/digest.ts";
import { createComposefsDriver } from "../../../../agent/root/drivers/composefs.ts";
import type { RootDriver } from "../../../../agent/root/root-driver.ts";
import { createUnpackPool } from "../../../../agent/root/unpack/pool.ts";
import { type ObjectStore, openObjectStore } from "../../../../agent/store/object-store.ts";
import { openStoreLayout } from "../../../../agent/store/store-layout.ts";
import { buildTar, type Member } from "../../../unit/archive/tar-builder.ts";
import { createScratch, type Scratch, sourceOf } from "../scratch.ts";
import { listTree } from "../tree-listing.ts";

const pool = createUnpackPool();
let scratch: Scratch;
let stores = 0;
beforeAll(() => {
  scratch = createScratch();
});
afterAll(() => scratch.close());

const dir = (path: string, more: Partial<Member> = {}): Member => ({ path, type: "directory", ...more });
const file = (path: string, content = path, more: Partial<Member> = {}): Member => ({
  path,
  content,
  ...more,
});
const link = (path: string, linkPath: string): Member => ({ path, type: "symlink", linkPath });
const hardlink = (path: string, linkPath: string): Member => ({ path, type: "hardlink", linkPath });
const big = (letter: string) => letter.repeat(5_000);

async function openStore(): Promise<{ store: ObjectStore; driver: RootDriver; lines: string[] }> {
  const path = join(scratch.path, `objects${stores++}`);
  mkdirSync(path);
  const store = await openObjectStore(openStoreLayout(path).layout);
  const lines: string[] = [];
  const log = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(line) };
  return { store, driver: createComposefsDriver({ store, pool, log }), lines };
}

const layerOf = (members: readonly Member[]) => {
  const tar = buildTar(members);
  return sourceOf(tar, { diffId: computeDigest(tar) });
};

async function showRoot(driver: RootDriver, layers: readonly Member[][], artifact?: [to: string, Member[]]) {
  const taken = [];
  const rooted = layers.map((members) => [dir("./", { mtime: 3 }), ...members]);
  for (const members of rooted) taken.push(await driver.addLayer(layerOf(members)));
  const root = await driver.mount(taken, scratch.newRootOptions());
  if (artifact) await root.unpackArchive(sourceOf(buildTar(artifact[1])), artifact[0]);
  const listing = listTree(root.path, { times: true });
  await root.unmount();
  return listing;
}

describe("shows the same tree as overlayfs for", () => {
  const cases: Record<string, [layers: Member[][], artifact?: [string, Member[]]]> = {
    "contents, small and large": [[[dir("./"), file("empty", ""), file("small"), file("large", big("x"))]]],
    "owners, modes, times, attributes": [
      [
        [
          dir("./", { mode: 0o751, uid: 3, gid: 4, mtime: 77 }),
          file("suid", big("s"), { mode: 0o4755, uid: 1000, gid: 1001, mtime: 123 }),
          file("old", "o", { pax: [["mtime", "-1.5"]] }),
          file("caps", big("c"), {
            pax: [
              [
                "SCHILY.xattr.security.capability",
                Buffer.from("0100000280000000000000000000000000000000", "hex"),
              ],
            ],
          }),
        ],
      ],
    ],
    "links, devices and pipes": [
      [
        [
          dir("d", { mtime: 9 }),
          file("d/a", big("a")),
          hardlink("d/b", "d/a"),
          link("l", "/d/a"),
          { path: "null", type: "char", device: [1, 3], mode: 0o666 },
          { path: "disk", type: "block", device: [8, 1], mode: 0o660 },
          { path: "pipe", type: "fifo" },
        ],
      ],
    ],
    "whiteouts and opaque directories": [
      [
        [
          dir("a", { mtime: 1 }),
          file("a/x", big("1")),
          file("a/y"),
          dir("b", { mtime: 1 }),
          file("b/z"),
          file("c"),
        ],
        [
          dir("a", { mtime: 2 }),
          file("a/.wh.x", ""),
          dir("b", { mtime: 2 }),
          file("b/.wh..wh..opq", ""),
          file("b/new"),
          file(".wh.c", ""),
        ],
      ],
    ],
    "a file over a directory and vice versa": [
      [
        [dir("a", { mtime: 1 }), file("a/x"), file("b", big("b"))],
        [file("a", "now a file"), dir("b", { mtime: 2 }), file("b/x", "now in a directory")],
      ],
    ],
    "an artifact through a symlink, over existing files": [
      [
        [
          dir("usr", { mtime: 1 }),
          dir("usr/lib", { mtime: 1, mode: 0o700 }),
          link("lib", "usr/lib"),
          file("usr/lib/keep", big("k")),
        ],
      ],
      ["/lib", [dir("./", { mtime: 5 }), file("new", big("n")), file("keep", "replaced")]],
    ],
    "names of any bytes": [
      [[file("\xff\xfe", big("f")), dir("\xc3\xa9", { mtime: 1 }), file("\xc3\xa9/\x01", "c")]],
    ],
  };

  it.each(Object.entries(cases))("%s", async (_name, [layers, artifact]) => {
    const { driver } = await openStore();
    const composefs = await showRoot(driver, layers, artifact);
    const overlay = await showRoot(scratch.createDriver(), layers, artifact);
    // A directory that an artifact writes into has the time of that moment.
    const shown = (lines: string[]) =>
      artifact ? lines.map((line) => line.replace(/( dir .*) mtime=\S+/, "$1")) : lines;
    expect(shown(composefs)).toEqual(shown(overlay));
  });
});

describe("the store below it", () => {
  it("stores each content once, whatever its source, and keeps writes in the upper directory", async () => {
    const { store, driver } = await openStore();
    const one = await driver.addLayer(layerOf([file("a", big("same")), file("b", big("same"))]));
    const two = await driver.addLayer(layerOf([file("c", big("same"))]));
    const root = await driver.mount([one, two], scratch.newRootOptions());
    await root.unpackArchive(sourceOf(buildTar([file("d", big("same"))])), "/");
    writeFileSync(join(root.path, "a"), "changed");
    rmSync(join(root.path, "b"));
    expect(readdirSync(root.path).sort()).toEqual(["a", "c", "d"]);
    expect(readFileSync(join(root.path, "d"), "utf8")).toBe(big("same"));
    const objects = readdirSync(store.objectsDir).flatMap((prefix) =>
      readdirSync(join(store.objectsDir, prefix)),
    );
    // The one content, and the two images that were mounted.
    expect(objects).toHaveLength(3);
    await root.unmount();
  });

  it("does not fetch stored layers, and fetches damaged ones again", async () => {
    const { store, driver, lines } = await openStore();
    const members = [file("a", big("a")), file("b", big("b"))];
    let opened = 0;
    const counted = () => {
      const source = layerOf(members);
      return {
        ...source,
        open() {
          opened++;
          return source.open();
        },
      };
    };
    await driver.addLayer(counted());
    await driver.addLayer(counted());
    expect(opened).toBe(1);
    expect(lines.at(-1)).toMatch(/is stored, 2 objects checked/);
    const prefix = readdirSync(store.objectsDir).find(
      (name) => readdirSync(join(store.objectsDir, name)).length > 0,
    )!;
    const [name] = readdirSync(join(store.objectsDir, prefix));
    writeFileSync(join(store.objectsDir, formatObjectPath(prefix + name!)), "rotten");
    const layer = await driver.addLayer(counted());
    expect(opened).toBe(2);
    expect(lines.at(-1)).toMatch(/1 of 2 objects .* damaged or missing/);
    const root = await driver.mount([layer], scratch.newRootOptions());
    expect(readFileSync(join(root.path, "a"), "utf8")).toBe(big("a"));
    expect(readFileSync(join(root.path, "b"), "utf8")).toBe(big("b"));
    await root.unmount();
  });

  it.each([
    ["a wrong DiffID", { diffId: `sha256:${"0".repeat(64)}` }, "LAYER_DIFFID_MISMATCH"],
    [
      "a wrong digest of a layer",
      { digest: `sha256:${"0".repeat(64)}`, diffId: `sha256:${"0".repeat(64)}` },
      "LAYER_DIGEST_MISMATCH",
    ],
    ["a wrong digest of an artifact", { digest: `sha256:${"0".repeat(64)}` }, "ARTIFACT_DIGEST_MISMATCH"],
  ])("keeps nothing of an archive with %s", async (_name, facts, code) => {
    const { store, driver } = await openStore();
    const tar = buildTar([file("a", big("a"))]);
    await expect(driver.addLayer(sourceOf(tar, facts))).rejects.toMatchObject({ code });
    expect(readdirSync(store.layout.staging)).toEqual([]);
    expect(readdirSync(store.layout.trees)).toEqual([]);
  });

  it("refuses names outside of the root, and writes nothing", async () => {
    const { driver } = await openStore();
    await expect(driver.addLayer(layerOf([file("../../victim", big("v"))]))).rejects.toMatchObject({
      code: "ARCHIVE_UNSAFE_MEMBER",
    });
  });
});
