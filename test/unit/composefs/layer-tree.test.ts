import { expect, it } from "vitest";
import { listDigests } from "../../../agent/archive/digests.ts";
import type { TarEntry } from "../../../agent/archive/tar-entry.ts";
import { writeErofsImage } from "../../../agent/composefs/erofs-image.ts";
import { LayerTreeWriter, readLayerTree, type TreeContent } from "../../../agent/composefs/layer-tree.ts";
import { mergeLayers } from "../../../agent/composefs/merge-layers.ts";
import { createLayerEntry, listEntries } from "./layer-entry.ts";

interface LayerTreeMember {
  entry: TarEntry;
  content?: TreeContent;
}

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

const object = { verity: "ab".repeat(32) };
const other = { verity: "cd".repeat(32) };
const members: LayerTreeMember[] = [
  { entry: entry("./", { type: "directory", mode: 0o1777, uid: 7, gid: 4_294_967_294 }) },
  {
    entry: entry("\xff\n\u0001", { sizeBytes: 3, mtime: { sec: -2, nsec: 999_999_999 } }),
    content: { inline: Buffer.from([0, 255, 10]) },
  },
  { entry: entry("big", { sizeBytes: 9e12, mtime: { sec: 2n ** 60n, nsec: 1 } }), content: object },
  { entry: entry("twin", { sizeBytes: 9e12 }), content: object },
  { entry: entry("another", { sizeBytes: 65, mode: 0o4755, uid: 1000 }), content: other },
  { entry: entry("l", { type: "symlink", mode: 0o777, linkPath: "\xe9" }) },
  { entry: entry("hard", { type: "hardlink", linkPath: "twin" }) },
  { entry: entry("null", { type: "char", devMajor: 0xfff, devMinor: 0xfffff }) },
  { entry: entry("disk", { type: "block", devMajor: 8 }) },
  { entry: entry("pipe", { type: "fifo" }) },
  { entry: entry("empty") },
  { entry: entry("x", { xattrs: new Map([["user.\xff", Buffer.from([0, 1, 10])]]) }) },
];

function write(all: readonly LayerTreeMember[]) {
  const writer = new LayerTreeWriter();
  for (const { entry, content } of all) writer.add(entry, content);
  return writer.finish();
}

const toEntries = (all: readonly LayerTreeMember[]) =>
  all.map(({ entry, content }) => createLayerEntry(entry, content));

it("returns every member unchanged", () => {
  const tree = readLayerTree(write(members).bytes)!;
  expect(listEntries(tree)).toEqual(toEntries(members));
  expect([...listDigests(tree.digests)]).toEqual([object, object, other].map(({ verity }) => verity));
  expect([...tree.listInlineContents()]).toEqual([Buffer.from([0, 255, 10])]);
  expect(tree).toMatchObject({ length: members.length, contentBytes: 18e12 + 68 });
});

it("accepts digests at the end as well as with each member", () => {
  const writer = new LayerTreeWriter();
  for (const { entry, content } of members)
    writer.add(entry, content && ("inline" in content ? content : "object"));
  const late = Buffer.from([object, object, other].map(({ verity }) => verity).join(""), "hex");
  expect(writer.finish(late).bytes).toEqual(write(members).bytes);
});

it("returns trees of no members and of very many", () => {
  expect(listEntries(readLayerTree(write([]).bytes)!)).toEqual([]);
  const many = Array.from({ length: 5_000 }, (_, index) => ({ entry: entry(`d/${index}`.padEnd(40, "x")) }));
  expect(listEntries(readLayerTree(write(many).bytes)!)).toEqual(toEntries(many));
});

it("does not read trees of another form", () => {
  expect(readLayerTree(Buffer.from("(\xb5/\xfd and so on", "latin1"))).toBeUndefined();
  expect(readLayerTree(Buffer.alloc(0))).toBeUndefined();
});

it("merges to the same nodes as its members", () => {
  const small = members.filter(({ entry }) => entry.sizeBytes < 1e9 && entry.type !== "hardlink");
  const linked = [...small, { entry: entry("hard", { type: "hardlink", linkPath: "another" }) }];
  const plain = toEntries(linked);
  const image = writeErofsImage(mergeLayers([write(linked).listEntries()], "mount"));
  expect(image.equals(writeErofsImage(mergeLayers([plain], "mount")))).toBe(true);
});
