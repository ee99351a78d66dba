/** Roots that are there as trees: an export under an overlay, one that is written into, and a directory of the initrd. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mount } from "../../../../agent/kernel/syscalls.ts";
import { mountDirectoryRoot, mountExportRoot } from "../../../../agent/root/drivers/existing-tree.ts";
import { createUnpackPool } from "../../../../agent/root/unpack/pool.ts";
import { buildTar } from "../../../unit/archive/tar-builder.ts";
import { createScratch, type Scratch, sourceOf } from "../scratch.ts";

const MS_BIND = 4096;
const pool = createUnpackPool();
let scratch: Scratch;
let tree: string;

beforeAll(() => {
  scratch = createScratch();
  tree = join(scratch.path, "tree");
  mkdirSync(join(tree, "etc"), { recursive: true, mode: 0o711 });
  writeFileSync(join(tree, "etc/hello"), "from the tree");
});
afterAll(() => scratch.close());

/** In place of a server's export. */
const bindTree = async (target: string) => mount({ source: tree, target, flags: MS_BIND });
const archive = () => sourceOf(buildTar([{ path: "install/run", content: "run" }]));

describe.each([
  [
    "an export",
    () => mountExportRoot({ isWritable: false, mountExport: bindTree }, scratch.newRootOptions(), { pool }),
  ],
  ["a directory", async () => mountDirectoryRoot(tree, scratch.newRootOptions(), { pool })],
])("%s under an overlay", (_name, mountRoot) => {
  it("shows the tree, accepts archives and writes, and does not change it", async () => {
    const root = await mountRoot();
    expect(readFileSync(join(root.path, "etc/hello"), "utf8")).toBe("from the tree");
    expect(statSync(root.path).mode).toBe(statSync(tree).mode);
    expect(await root.unpackArchive(archive(), "/opt")).toMatchObject({ files: 1 });
    writeFileSync(join(root.path, "etc/hello"), "by the test");
    expect(readFileSync(join(root.path, "opt/install/run"), "utf8")).toBe("run");
    await root.unmount();
    expect(readFileSync(join(tree, "etc/hello"), "utf8")).toBe("from the tree");
    expect(existsSync(join(tree, "opt"))).toBe(false);
  });
});

it("writes to a writable export", async () => {
  const root = await mountExportRoot({ isWritable: true, mountExport: bindTree }, scratch.newRootOptions(), {
    pool,
  });
  await root.unpackArchive(archive(), "/written");
  await root.unmount();
  expect(readFileSync(join(tree, "written/install/run"), "utf8")).toBe("run");
});

it("leaves no mount behind when the export cannot be mounted", async () => {
  const place = scratch.newRootOptions();
  const mountExport = async () => Promise.reject(new Error("refused"));
  await expect(mountExportRoot({ isWritable: false, mountExport }, place, { pool })).rejects.toThrow(
    "refused",
  );
  expect(readFileSync("/proc/mounts", "utf8")).not.toContain(place.target);
});

it("refuses a missing directory, and a digest that cannot be verified", () => {
  const place = scratch.newRootOptions();
  expect(() => mountDirectoryRoot(join(tree, "no"), place)).toThrow(
    expect.objectContaining({ code: "ROOT_NO_DIRECTORY" }),
  );
  expect(() => mountDirectoryRoot(tree, { ...place, composefsDigest: "00" })).toThrow(
    expect.objectContaining({ code: "ROOT_DIGEST_NOT_VERIFIED" }),
  );
});
