import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Member } from "../../unit/archive/tar-builder.ts";
import { createScratch, type Scratch } from "./scratch.ts";
import { listTree } from "./tree-listing.ts";

let scratch: Scratch;
beforeAll(() => {
  scratch = createScratch();
});
afterAll(() => scratch.close());

const dir = (path: string, more: Partial<Member> = {}): Member => ({ path, type: "directory", ...more });
const file = (path: string, content = path): Member => ({ path, content });

const BASE = [dir("./"), dir("d/"), file("d/low"), file("d/gone"), dir("d/sub/"), file("d/sub/x"), file("f")];

/** Layers above BASE, and what is to be seen then (without the root). */
const golden: Record<string, [layers: Member[][], seen: string[]]> = {
  "a file is hidden": [[[dir("d/"), file("d/.wh.gone", "")]], ["d", "d/low", "d/sub", "d/sub/x", "f"]],
  "a directory is hidden": [[[file(".wh.d", "")]], ["f"]],
  "what is hidden need not be there": [
    [[file(".wh.nothing", "")]],
    ["d", "d/gone", "d/low", "d/sub", "d/sub/x", "f"],
  ],
  "an opaque directory, its mark first": [
    [[dir("d/"), file("d/.wh..wh..opq", ""), file("d/new")]],
    ["d", "d/new", "f"],
  ],
  "an opaque directory, its mark last": [
    [[dir("d/"), file("d/new"), file("d/.wh..wh..opq", "")]],
    ["d", "d/new", "f"],
  ],
  "a whiteout of this layer's own file hides the lower one alone": [
    [[file("f", "new"), file(".wh.f", "")]],
    ["d", "d/gone", "d/low", "d/sub", "d/sub/x", "f"],
  ],
  "a whiteout, then a file of that name": [
    [[file(".wh.f", ""), file("f", "new")]],
    ["d", "d/gone", "d/low", "d/sub", "d/sub/x", "f"],
  ],
  "a whiteout, then a directory of that name, hides what was in it": [
    [[file(".wh.d", ""), dir("d/"), file("d/new")]],
    ["d", "d/new", "f"],
  ],
  "a directory, then its whiteout, hides what was in it": [
    [[dir("d/"), file("d/new"), file(".wh.d", "")]],
    ["d", "d/new", "f"],
  ],
  "a whiteout, then a directory that is only implied": [
    [[file(".wh.d", ""), file("d/new")]],
    ["d", "d/new", "f"],
  ],
  "a whiteout in a directory that is only implied": [
    [[file("d/sub/.wh.x", "")]],
    ["d", "d/gone", "d/low", "d/sub", "f"],
  ],
  "an opaque root": [[[file(".wh..wh..opq", ""), file("new")]], ["new"]],
  "an opaque root in the middle": [
    [[file("mid")], [file("new"), file(".wh..wh..opq", "")], [file("top")]],
    ["new", "top"],
  ],
  "hidden and put back by a later layer": [
    [[file(".wh.d", "")], [dir("d/"), file("d/back")]],
    ["d", "d/back", "f"],
  ],
  "opaque at the end of a link of its own layer": [
    [[dir("d/"), { path: "l", type: "symlink", linkPath: "d" }, file("l/.wh..wh..opq", "")]],
    ["d", "f", "l"],
  ],
  "aufs's leftovers": [
    [[dir(".wh..wh.plnk/"), file(".wh..wh.plnk/1.2"), file(".wh..wh.aufs")]],
    ["d", "d/gone", "d/low", "d/sub", "d/sub/x", "f"],
  ],
};

describe.each([false, true])("mounted the classic way: %s", (onlyClassicMount) => {
  it.each(Object.entries(golden))("%s", async (_name, [layers, seen]) => {
    const driver = scratch.createDriver({ onlyClassicMount });
    const stack = [];
    for (const members of [BASE, ...layers]) stack.push(await scratch.addMembers(driver, members));
    const root = await driver.mount(stack, scratch.newRootOptions());
    const paths = listTree(root.path)
      .slice(1)
      .map((line) => line.split(" ")[0]!.slice(1));
    await root.unmount();
    expect(paths).toEqual(seen);
  });
});

it("converts whiteouts to overlayfs's format", async () => {
  const members = [
    dir("d/"),
    file("d/.wh.a", "ignored content"),
    dir("o/"),
    file("o/.wh..wh..opq", ""),
    dir("both/"),
    file(".wh.both", ""),
  ];
  await scratch.addMembers(scratch.createDriver(), members);
  expect(listTree(join(scratch.layerPath(0))).slice(1)).toEqual([
    "/both dir 755 0:0 trusted.overlay.opaque=79",
    "/d dir 755 0:0 trusted.overlay.origin=",
    "/d/a whiteout 0:0",
    "/o dir 755 0:0 trusted.overlay.opaque=79",
  ]);
});
