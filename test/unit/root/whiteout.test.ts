import { expect, it } from "vitest";
import { splitMemberPath } from "../../../agent/archive/member-path.ts";
import { readLayerName } from "../../../agent/oci/whiteout.ts";

it.each([
  ["etc/passwd", { kind: "entry" }],
  [".wh", { kind: "entry" }],
  ["a.wh.b", { kind: "entry" }],
  ["etc/.wh.passwd", { kind: "whiteout", hidden: "passwd" }],
  [".wh.etc", { kind: "whiteout", hidden: "etc" }],
  [".wh..hidden", { kind: "whiteout", hidden: ".hidden" }],
  [".wh....", { kind: "whiteout", hidden: "..." }],
  ["etc/.wh..wh..opq", { kind: "opaque" }],
  [".wh..wh..opq", { kind: "opaque" }],
  [".wh..wh.plnk", { kind: "ignored" }],
  [".wh..wh.plnk/123.45", { kind: "ignored" }],
  [".wh..wh.aufs", { kind: "ignored" }],
  [".wh..wh..opqx", { kind: "ignored" }],
])("%s", (path, expected) => {
  expect(readLayerName(path.split("/"))).toEqual(expected);
});

it.each([".wh.", "a/.wh.", ".wh..", ".wh...", ".wh.a/b", "a/.wh.b/c/d"])("refuses %s", (path) => {
  expect(() => readLayerName(path.split("/"))).toThrow(
    expect.objectContaining({ code: "ARCHIVE_BAD_MEMBER" }),
  );
});

it.each([
  ["a/b", ["a", "b"]],
  ["./a//b/", ["a", "b"]],
  ["/etc/passwd", ["etc", "passwd"]],
  ["./", []],
  ["", []],
  ["a/./.b", ["a", ".b"]],
  ["...", ["..."]],
  ["a/../b", ["b"]],
])("splits %j", (path, parts) => {
  expect(splitMemberPath(path)).toEqual(parts);
});

it.each([
  ["..", "ARCHIVE_UNSAFE_MEMBER"],
  ["/..", "ARCHIVE_UNSAFE_MEMBER"],
  [`a/${"b".repeat(256)}`, "ARCHIVE_LIMIT_EXCEEDED"],
  ["a/".repeat(2048), "ARCHIVE_LIMIT_EXCEEDED"],
])("refuses %j", (path, code) => {
  expect(() => splitMemberPath(path)).toThrow(expect.objectContaining({ code }));
});
