import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { computeDigest } from "../../../../agent/oci/digest.ts";
import { buildTar, type Member } from "../../../unit/archive/tar-builder.ts";
import { createScratch, type Scratch, sourceOf } from "../scratch.ts";
import { listTree } from "../tree-listing.ts";

let scratch: Scratch;
beforeAll(() => {
  scratch = createScratch();
});
afterAll(() => scratch.close());

const dir = (path: string, more: Partial<Member> = {}): Member => ({ path, type: "directory", ...more });
const file = (path: string, content = path): Member => ({ path, content });
const link = (path: string, linkPath: string): Member => ({ path, type: "symlink", linkPath });

async function mountLayers(layers: readonly Member[][], onlyClassicMount = false) {
  const driver = scratch.createDriver({ onlyClassicMount });
  const stack = [];
  for (const members of layers) stack.push(await scratch.addMembers(driver, members));
  return driver.mount(stack, scratch.newRootOptions());
}

describe.each([false, true])("mounted the classic way: %s", (onlyClassic) => {
  it("shows the uppermost of three layers, and keeps writes in the upper directory", async () => {
    const root = await mountLayers(
      [
        [dir("./"), file("a", "1"), file("b", "1"), file("c", "1")],
        [file("b", "2"), file("c", "2")],
        [file("c", "3")],
      ],
      onlyClassic,
    );
    writeFileSync(join(root.path, "a"), "written");
    rmSync(join(root.path, "b"));
    expect(listTree(root.path).slice(1)).toEqual(['/a file 644 0:0 "written"', '/c file 644 0:0 "3"']);
    expect(readFileSync(join(scratch.layerPath(0), "a"), "utf8")).toBe("1");
    await root.unmount();
    expect(listTree(root.path)).toHaveLength(1);
  });

  it("C40 mounts two hundred layers", async () => {
    const layers = Array.from({ length: 200 }, (_, i) => [file(`f${i}`), file("last", `${i}`)]);
    const root = await mountLayers(layers, onlyClassic);
    expect(listTree(root.path)).toHaveLength(202);
    expect(readFileSync(join(root.path, "last"), "utf8")).toBe("199");
    await root.unmount();
  });
});

it("mounts an image without layers as an empty root", async () => {
  const root = await mountLayers([]);
  expect(listTree(root.path)).toEqual(["/ dir 755 0:0"]);
  await root.unmount();
});

it("takes the root directory from the uppermost layer that has one", async () => {
  const root = await mountLayers([
    [dir("./", { mode: 0o700, uid: 1 }), file("a")],
    [
      dir("./", { mode: 0o1775, uid: 7, gid: 8, mtime: 12345, pax: [["SCHILY.xattr.trusted.label", "x"]] }),
      file("b"),
    ],
    [file("c")],
  ]);
  expect(listTree(root.path, { times: true })[0]).toBe(
    "/ dir 1775 7:8 trusted.label=78 mtime=12345000000000",
  );
  await root.unmount();
});

it("keeps owner, mode and time of a lower directory if an upper layer has no entry for it", async () => {
  const root = await mountLayers([
    [
      dir("etc/", { mode: 0o750, uid: 3, gid: 4, mtime: 99 }),
      dir("etc/x/", { mode: 0o700, mtime: 77 }),
      file("etc/x/a"),
    ],
    [file("etc/b")],
    [file("etc/x/c"), file("new/d")],
  ]);
  const listed = listTree(root.path, { times: true });
  expect(listed).toContain("/etc dir 750 3:4 mtime=99000000000");
  expect(listed).toContain("/etc/x dir 700 0:0 mtime=77000000000");
  expect(listed.find((line) => line.startsWith("/new "))).toMatch(/^\/new dir 755 0:0/);
  await root.unmount();
});

it("fails to unmount a root that is in use", async () => {
  const root = await mountLayers([[file("a")]]);
  const before = process.cwd();
  process.chdir(root.path);
  try {
    await expect(root.unmount()).rejects.toMatchObject({ code: "ROOT_UNMOUNT_FAILED" });
  } finally {
    process.chdir(before);
  }
  await root.unmount();
});

it("reports a mount that the kernel refuses", async () => {
  const driver = scratch.createDriver();
  const layer = await scratch.addMembers(driver, [file("a")]);
  const options = scratch.newRootOptions();
  // upper and work on two file systems is what overlayfs never takes
  const mounting = driver.mount([layer], { ...options, workDir: "/dev/shm/dutboot-other-file-system" });
  await expect(mounting).rejects.toMatchObject({ code: "ROOT_MOUNT_FAILED" });
  rmSync("/dev/shm/dutboot-other-file-system", { recursive: true });
});

describe("artifacts", () => {
  const BASE = [
    dir("./", { mode: 0o755 }),
    dir("usr/"),
    dir("usr/lib/", { mode: 0o711, uid: 9 }),
    file("usr/lib/old"),
    link("lib", "usr/lib"),
    link("install", "/opt/place"),
    dir("opt/"),
    dir("opt/place/"),
    link("dangling", "/nowhere"),
    file("afile"),
  ];
  const unpackInto = async (members: readonly Member[], to: string, facts = {}) => {
    const root = await mountLayers([BASE]);
    try {
      const unpacked = await root.unpackArchive(sourceOf(buildTar(members), facts), to);
      return { unpacked, listed: listTree(root.path) };
    } finally {
      await root.unmount();
    }
  };

  it("are unpacked to their target, and create its parents", async () => {
    const { unpacked, listed } = await unpackInto(
      [dir("./", { mode: 0o700 }), dir("bin/"), file("bin/run")],
      "/srv/test",
    );
    expect(unpacked).toEqual({ files: 3, bytes: 7, warnings: [] });
    expect(listed.filter((line) => line.startsWith("/srv"))).toEqual([
      "/srv dir 755 0:0",
      "/srv/test dir 700 0:0",
      "/srv/test/bin dir 755 0:0",
      '/srv/test/bin/run file 644 0:0 "bin/run"',
    ]);
  });

  it("do not change existing directories, including the root", async () => {
    const foreign = { mode: 0o700, uid: 1000, gid: 1000 };
    const { listed } = await unpackInto(
      [dir("./", foreign), dir("usr/", foreign), dir("usr/new/", foreign)],
      "/",
    );
    expect(listed).toContain("/ dir 755 0:0");
    expect(listed).toContain("/usr dir 755 0:0");
    expect(listed).toContain("/usr/new dir 700 1000:1000");
  });

  it("do not break lib -> usr/lib", async () => {
    const { listed } = await unpackInto(
      [dir("lib/"), dir("lib/modules/"), file("lib/modules/x.ko"), file("lib/old", "new")],
      "/",
    );
    expect(listed).toContain("/lib -> usr/lib 0:0");
    expect(listed).toContain('/usr/lib/modules/x.ko file 644 0:0 "lib/modules/x.ko"');
    expect(listed).toContain('/usr/lib/old file 644 0:0 "new"');
    expect(listed).toContain("/usr/lib dir 711 9:0");
  });

  it("follow symlinks to their target inside the root, never on the host", async () => {
    const { listed } = await unpackInto([dir("./"), file("evil")], "/install");
    expect(listed).toContain('/opt/place/evil file 644 0:0 "evil"');
    expect(listed).toContain("/install -> /opt/place 0:0");
  });

  it("treat names of whiteouts as ordinary names", async () => {
    const { listed } = await unpackInto([file(".wh.afile", "x")], "/");
    expect(listed).toContain('/.wh.afile file 644 0:0 "x"');
    expect(listed).toContain('/afile file 644 0:0 "afile"');
  });

  it("replace files and symlinks, and hard-link files of the root", async () => {
    const { listed } = await unpackInto(
      [file("dangling", "now a file"), { path: "l", type: "hardlink", linkPath: "usr/lib/old" }],
      "/",
    );
    expect(listed).toContain('/dangling file 644 0:0 "now a file"');
    expect(listed.some((line) => line.startsWith("/l file 644 0:0"))).toBe(true);
  });

  const archive = buildTar([file("a")]);
  it.each([
    ["the wrong digest", "/", { digest: computeDigest(Buffer.from("other")) }, "ARTIFACT_DIGEST_MISMATCH"],
    ["the wrong size", "/", { sizeBytes: 1 }, "ARTIFACT_SIZE_MISMATCH"],
    ["a target that is a file", "/afile", {}, "ARCHIVE_BAD_MEMBER"],
    ["a target below a file", "/afile/x", {}, "ARCHIVE_BAD_MEMBER"],
    ["a target that is a dangling symlink", "/dangling", {}, "ARCHIVE_BAD_MEMBER"],
    ["a target above the root", "/../..", {}, "ARCHIVE_UNSAFE_MEMBER"],
  ])("refuse %s", async (_name, to, facts, code) => {
    const root = await mountLayers([BASE]);
    await expect(root.unpackArchive(sourceOf(archive, facts), to)).rejects.toMatchObject({ code });
    await root.unmount();
  });
});

it("works with a store behind a symlink", async () => {
  const real = join(scratch.path, "real-store");
  mkdirSync(real);
  symlinkSync(real, join(scratch.path, "linked-store"));
  const driver = scratch.createDriver({ storeDir: join(scratch.path, "linked-store") });
  const layer = await scratch.addMembers(driver, [file("a")]);
  const root = await driver.mount([layer], scratch.newRootOptions());
  expect(statSync(join(root.path, "a")).isFile()).toBe(true);
  await root.unmount();
});
