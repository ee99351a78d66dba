import { expect, it } from "vitest";
import type { TarEntry } from "../../../agent/archive/tar-entry.ts";
import { decodeLayerTree, encodeLayerTree, listTreeObjects } from "../../../agent/composefs/layer-tree.ts";

const entry = (path: string, more: Partial<TarEntry> = {}): TarEntry => ({
  path,
  type: "file",
  mode: 0o644,
  uid: 0,
  gid: 0,
  sizeBytes: 0,
  mtime: { sec: 0, nsec: 0 },
  linkPath: "",
  devMajor: 0,
  devMinor: 0,
  xattrs: new Map(),
  ...more,
});

it("gives back every member as it was", () => {
  const object = { verity: "ab".repeat(32) };
  const tree = [
    { entry: entry("./", { type: "directory", mode: 0o1777, uid: 7, gid: 4_294_967_294 }) },
    {
      entry: entry("\xff\n\u0001", { sizeBytes: 3, mtime: { sec: -2, nsec: 999_999_999 } }),
      content: { inline: Buffer.from([0, 255, 10]) },
    },
    { entry: entry("big", { sizeBytes: 9e12, mtime: { sec: 2n ** 60n, nsec: 1 } }), content: object },
    { entry: entry("twin", { sizeBytes: 9e12 }), content: object },
    { entry: entry("l", { type: "symlink", linkPath: "\xe9" }) },
    { entry: entry("null", { type: "char", devMajor: 1, devMinor: 3 }) },
    { entry: entry("x", { xattrs: new Map([["user.\xff", Buffer.from([0, 1, 10])]]) }) },
  ];
  expect(decodeLayerTree(encodeLayerTree(tree))).toEqual(tree);
  expect(listTreeObjects(tree)).toEqual([object.verity]);
});

it("gives back a tree without members", () => {
  expect(decodeLayerTree(encodeLayerTree([]))).toEqual([]);
});
