import type { BigIntStats } from "node:fs";
import { expect, test } from "vitest";
import { formatFileAttributes, parseFileAttributes } from "../../../agent/volumes/file-attributes.ts";

const stats = (fields: Partial<BigIntStats>) =>
  ({ uid: 0n, gid: 0n, mode: 0o100644n, atimeNs: 0n, mtimeNs: 0n, ...fields }) as BigIntStats;

test("is written as the MinIO client writes it", () => {
  const attributes = formatFileAttributes(
    stats({ uid: 1000n, gid: 100n, mode: 0o104755n, atimeNs: 1_500_000_000_000_000_001n, mtimeNs: -1n }),
  );
  expect(attributes).toEqual({
    "mc-attrs": "atime:1500000000#1/gid:100/mode:35309/mtime:-1#999999999/uid:1000",
  });
  expect(parseFileAttributes(attributes)).toEqual({
    uid: 1000,
    gid: 100,
    mode: 0o4755,
    atime: { sec: 1_500_000_000, nsec: 1 },
    mtime: { sec: -1, nsec: 999_999_999 },
  });
});

test.each([
  ["nothing", {}, {}],
  ["names beside the numbers", { "mc-attrs": "gid:5/gname:tty/uid:0/uname:root" }, { gid: 5, uid: 0 }],
  [
    "s3cmd's",
    { "s3cmd-attrs": "atime:1/mode:33188/mtime:2" },
    { atime: { sec: 1, nsec: 0 }, mtime: { sec: 2, nsec: 0 }, mode: 0o644 },
  ],
  ["an octal mode", { "mc-attrs": "mode:0100600" }, { mode: 0o600 }],
  ["numbers that are none", { "mc-attrs": "uid:-1/gid:x/mode:0999/mtime:1#2#3/atime:" }, {}],
  ["an owner that is no owner", { "mc-attrs": "uid:4294967295/gid:99999999999" }, {}],
  ["no fields at all", { "mc-attrs": "////::://" }, {}],
])("is read: %s", (_name, metadata, attributes) => {
  expect(parseFileAttributes(metadata)).toEqual(attributes);
});
