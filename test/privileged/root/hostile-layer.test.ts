import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Member } from "../../unit/archive/tar-builder.ts";
import { createScratch, type Scratch } from "./scratch.ts";
import { listTree } from "./tree-listing.ts";

let scratch: Scratch;
let outside: string;
beforeAll(() => {
  scratch = createScratch();
  outside = join(scratch.path, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "victim"), "untouched");
});
afterAll(() => scratch.close());

async function unpack(members: readonly Member[]): Promise<string[]> {
  await scratch.addMembers(scratch.createDriver(), members);
  return listTree(scratch.layerPath(0)).slice(1);
}

/** Nothing outside of the layer may ever change. */
function expectUntouched(): void {
  expect(listTree(outside)).toEqual(["/ dir 755 0:0", '/victim file 644 0:0 "untouched"']);
}

const dir = (path: string, more: Partial<Member> = {}): Member => ({ path, type: "directory", ...more });
const link = (path: string, linkPath: string): Member => ({ path, type: "symlink", linkPath });
const hardlink = (path: string, linkPath: string): Member => ({ path, type: "hardlink", linkPath });

describe("refuses", () => {
  const cases: Record<string, [code: string, members: () => Member[]]> = {
    "C01 a path above the root": ["ARCHIVE_UNSAFE_MEMBER", () => [{ path: "../victim", content: "x" }]],
    "C01 a path with .. in the middle": [
      "ARCHIVE_UNSAFE_MEMBER",
      () => [{ path: "a/../../victim", content: "x" }],
    ],
    "C01 the root replaced by a link": ["ARCHIVE_UNSAFE_MEMBER", () => [link("./", outside)]],
    "C01 the root replaced by a file": ["ARCHIVE_UNSAFE_MEMBER", () => [{ path: ".", content: "x" }]],
    "C02 a path through a file": ["ARCHIVE_BAD_MEMBER", () => [{ path: "a" }, { path: "a/b" }]],
    "C02 symlinks in a cycle": [
      "ARCHIVE_BAD_MEMBER",
      () => [link("a", "b"), link("b", "a"), { path: "a/x" }],
    ],
    "C04 a hard link to a path above the root": [
      "ARCHIVE_UNSAFE_MEMBER",
      () => [hardlink("a", "../../outside/victim")],
    ],
    "C04 a hard link to a file of the host": [
      "ARCHIVE_BAD_MEMBER",
      () => [hardlink("a", join(outside, "victim"))],
    ],
    "C04 a hard link through a link to the host": [
      "ARCHIVE_BAD_MEMBER",
      () => [link("out", outside), hardlink("a", "out/victim")],
    ],
    "C04 a hard link to a directory": ["ARCHIVE_BAD_MEMBER", () => [dir("d"), hardlink("a", "d")]],
    "C05 a hard link to a missing file": ["ARCHIVE_BAD_MEMBER", () => [hardlink("a", "b")]],
    "C05 a hard link to itself only": ["ARCHIVE_BAD_MEMBER", () => [hardlink("a", "b"), hardlink("b", "a")]],
    "C05 a hard link before its target": [
      "ARCHIVE_BAD_MEMBER",
      () => [hardlink("a/link", "b/file"), dir("b/"), { path: "b/file", content: "x" }],
    ],
    "C05 a hard link over a directory": [
      "ARCHIVE_BAD_MEMBER",
      () => [dir("d/"), { path: "d/x" }, hardlink("d", "d/x")],
    ],
    "C07 a whiteout without a name": ["ARCHIVE_BAD_MEMBER", () => [{ path: "d/.wh." }]],
    "C07 a whiteout of the directory itself": ["ARCHIVE_BAD_MEMBER", () => [{ path: "d/.wh.." }]],
    "C07 a whiteout of the directory above": ["ARCHIVE_BAD_MEMBER", () => [{ path: "d/.wh..." }]],
    "C11 a name that is too long": [
      "ARCHIVE_LIMIT_EXCEEDED",
      () => [{ path: "x", pax: [["path", "n".repeat(256)]] }],
    ],
    "C11 a path that is too deep": [
      "ARCHIVE_LIMIT_EXCEEDED",
      () => [{ path: "x", pax: [["path", "d/".repeat(2100)]] }],
    ],
  };

  it.each(Object.entries(cases))("%s", async (_name, [code, members]) => {
    const driver = scratch.createDriver();
    await expect(scratch.addMembers(driver, members())).rejects.toMatchObject({ code });
    expect(listTree(join(scratch.storeDir, "layers")).slice(1)).toEqual([]);
    expectUntouched();
  });
});

describe("inside the root", () => {
  it("C01 absolute paths", async () => {
    expect(await unpack([{ path: join(outside, "victim"), content: "evil" }])).toContain(
      `${outside}/victim file 644 0:0 "evil"`,
    );
    expectUntouched();
  });

  it("C02 a file written through an absolute link", async () => {
    const inside = outside.slice(1);
    const members = [dir(`${inside}/`), link("out", outside), { path: "out/victim", content: "evil" }];
    expect(await unpack(members)).toContain(`${outside}/victim file 644 0:0 "evil"`);
    expectUntouched();
  });

  it("C02 a symlink that is dangling inside the root but not on the host", async () => {
    await expect(
      unpack([link("out", outside), { path: "out/victim", content: "evil" }]),
    ).rejects.toMatchObject({
      code: "ARCHIVE_BAD_MEMBER",
    });
    expectUntouched();
  });

  it("C02 a symlink with ..", async () => {
    const climbing = [link("up", "../../../../../../.."), { path: "up/victim", content: "evil" }];
    expect(await unpack(climbing)).toContain('/victim file 644 0:0 "evil"');
    expectUntouched();
  });

  it("C02 a file over a symlink, which it replaces", async () => {
    const members = [link("f", join(outside, "victim")), { path: "f", content: "evil" }];
    expect(await unpack(members)).toEqual(['/f file 644 0:0 "evil"']);
    expectUntouched();
  });

  it("C02 a file over a FIFO, which would block if opened", async () => {
    expect(
      await unpack([
        { path: "f", type: "fifo" },
        { path: "f", content: "x" },
      ]),
    ).toEqual(['/f file 644 0:0 "x"']);
  });

  it("C02 a file over a hard link, which keeps its other name", async () => {
    const members = [{ path: "a", content: "one" }, hardlink("b", "a"), { path: "b", content: "two" }];
    expect(await unpack(members)).toEqual(['/a file 644 0:0 "one"', '/b file 644 0:0 "two"']);
  });

  it("C03 a directory swapped for a link while it is in use", async () => {
    const members = [
      dir("d/"),
      { path: "d/a", content: "1" },
      link("d", outside),
      dir("d/"),
      { path: "d/b", content: "2" },
    ];
    expect(await unpack(members)).toEqual(["/d dir 755 0:0", '/d/b file 644 0:0 "2"']);
    expectUntouched();
  });

  it("C03 a parent swapped for a link to another directory of the layer", async () => {
    const members = [
      dir("a/"),
      dir("a/b/"),
      { path: "a/b/x" },
      dir("c/"),
      dir("c/b/"),
      link("a", "c"),
      { path: "a/b/y" },
    ];
    expect(await unpack(members)).toEqual([
      "/a -> c 0:0",
      "/c dir 755 0:0",
      "/c/b dir 755 0:0",
      '/c/b/y file 644 0:0 ""',
    ]);
  });

  it("C03 the times of a swapped directory, which do not change another one", async () => {
    const members = [dir("a/", { mtime: 1 }), dir("c/", { mtime: 2 }), link("a", "c")];
    await unpack(members);
    expect(statSync(join(scratch.layerPath(0), "c")).mtimeMs).toBe(2000);
  });

  it("C04 a hard link to a symlink, which links the symlink itself", async () => {
    const lines = await unpack([link("l", join(outside, "victim")), hardlink("h", "l")]);
    expect(lines).toEqual(
      [`/h -> ${outside}/victim 0:0 links=2`, `/l -> ${outside}/victim 0:0 links=2`].map((line) =>
        line.replace(/ 0:0/, " 0:0"),
      ),
    );
    expectUntouched();
  });

  it("C05 a hard link to its own file by another path", async () => {
    const members = [
      dir("usr/"),
      link("bin", "usr"),
      { path: "bin/a", content: "x" },
      hardlink("usr/a", "bin/a"),
    ];
    expect(await unpack([...members, hardlink("usr/a", "usr/a")])).toContain('/usr/a file 644 0:0 "x"');
  });

  it("C06 different names that look the same", async () => {
    const members = [
      { path: "caf\xc3\xa9", content: "1" },
      { path: "cafe\xcc\x81", content: "2" },
      { path: "CAF\xc3\xa9", content: "3" },
    ];
    expect(await unpack(members)).toHaveLength(3);
  });

  it("C08 overlayfs attributes, which are ignored", async () => {
    const driver = scratch.createDriver();
    const layer = await scratch.addMembers(driver, [
      dir("d/", {
        pax: [
          ["SCHILY.xattr.trusted.overlay.opaque", "y"],
          ["SCHILY.xattr.trusted.mine", "z"],
        ],
      }),
      {
        path: "f",
        pax: [
          ["SCHILY.xattr.trusted.overlay.redirect", "/etc/shadow"],
          ["SCHILY.xattr.trusted.overlay.metacopy", ""],
        ],
      },
    ]);
    expect(listTree(scratch.layerPath(0)).slice(1)).toEqual([
      "/d dir 755 0:0 trusted.mine=7a",
      '/f file 644 0:0 ""',
    ]);
    expect(layer.warnings).toEqual(['3 × attribute "trusted.overlay.*" not kept: overlayfs reserves them']);
  });

  it("C08 devices and set-id bits, which are kept", async () => {
    const members: Member[] = [
      { path: "null", type: "char", device: [1, 3], mode: 0o666 },
      { path: "su", mode: 0o4755, uid: 0, content: "x" },
      { path: "sg", mode: 0o2755, uid: 4, gid: 5, content: "x" },
    ];
    expect(await unpack(members)).toEqual([
      "/null char 1:3 666 0:0",
      '/sg file 2755 4:5 "x"',
      '/su file 4755 0:0 "x"',
    ]);
  });

  it("C14 absolute symlinks, which are kept", async () => {
    expect(await unpack([link("bin", "/usr/bin"), link("up", "../../x")])).toEqual([
      "/bin -> /usr/bin 0:0",
      "/up -> ../../x 0:0",
    ]);
  });

  it("unpacks and removes a directory with a symlink to itself", async () => {
    const members = [
      dir("a/"),
      link("a/self", "."),
      { path: "a/self/self/self/f", content: "x" },
      { path: "a", content: "now a file" },
    ];
    expect(await unpack(members)).toEqual(['/a file 644 0:0 "now a file"']);
  });
});

it("does not change the host", () => {
  expect(readFileSync(join(outside, "victim"), "utf8")).toBe("untouched");
  expect(existsSync("/victim")).toBe(false);
});
