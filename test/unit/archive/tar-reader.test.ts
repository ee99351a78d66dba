import { describe, expect, it } from "vitest";
import type { TarEntry } from "../../../agent/archive/tar-entry.ts";
import { createTarReader, type TarLimits } from "../../../agent/archive/tar-reader.ts";
import {
  buildMember,
  buildPax,
  buildRawHeader,
  buildTar,
  encodeBase256,
  type Member,
} from "./tar-builder.ts";

interface ReadMember {
  entry: TarEntry;
  content: Buffer;
}

function read(bytes: Buffer, pieceBytes = bytes.length, limits?: TarLimits): ReadMember[] {
  const members: ReadMember[] = [];
  let ends = 0;
  const reader = createTarReader(
    {
      onEntry(entry) {
        expect(ends).toBe(members.length);
        members.push({ entry, content: Buffer.alloc(0) });
      },
      onContent(chunk) {
        const last = members.at(-1)!;
        last.content = Buffer.concat([last.content, chunk]);
      },
      onEntryEnd() {
        ends++;
      },
    },
    limits,
  );
  const piece = Buffer.alloc(pieceBytes || 1);
  for (let at = 0; at < bytes.length; at += piece.length) {
    const length = bytes.copy(piece, 0, at);
    reader.write(piece.subarray(0, length));
    piece.fill(0xee); // whoever kept the buffer reads nonsense
  }
  reader.end();
  expect(ends).toBe(members.length);
  return members;
}

const readOne = (member: Member) => read(buildTar([member]))[0]!.entry;

// VFS_CAP_REVISION_2, cap_setuid: byte 0x80 is what UTF-8 breaks.
const CAP_SETUID = Buffer.from("0100000280000000000000000000000000000000", "hex");
const LONG = "d".repeat(120);

const cases: Record<string, [member: Member, expected: Partial<TarEntry>]> = {
  "a file": [
    { path: "etc/passwd", content: "root", mode: 0o4755, uid: 7, gid: 8 },
    {
      path: "etc/passwd",
      type: "file",
      mode: 0o4755,
      uid: 7,
      gid: 8,
      sizeBytes: 4,
      mtime: { sec: 1_700_000_000, nsec: 0 },
    },
  ],
  "a directory": [
    { path: "etc/", type: "directory" },
    { path: "etc/", type: "directory", sizeBytes: 0 },
  ],
  "an old directory, told by its slash": [
    { path: "etc/", typeflag: "\0", magic: "none" },
    { type: "directory" },
  ],
  "a symlink": [
    { path: "lib", type: "symlink", linkPath: "/usr/lib" },
    { type: "symlink", linkPath: "/usr/lib" },
  ],
  "a hard link": [
    { path: "b", type: "hardlink", linkPath: "a" },
    { type: "hardlink", linkPath: "a" },
  ],
  "a character device": [
    { path: "dev/tty", type: "char", device: [5, 0] },
    { type: "char", devMajor: 5, devMinor: 0 },
  ],
  "a block device": [
    { path: "dev/x", type: "block", device: [259, 70_000] },
    { type: "block", devMajor: 259, devMinor: 70_000 },
  ],
  "a FIFO": [{ path: "run/f", type: "fifo" }, { type: "fifo" }],
  "a name that is not UTF-8": [{ path: "caf\xe9" }, { path: "caf\xe9" }],
  "a pax name that is not UTF-8": [
    { path: "x", pax: [["path", "d/caf\xe9\xff"]] },
    { path: "d/caf\xe9\xff" },
  ],
  "a pax link": [
    { path: "x", type: "symlink", linkPath: "y", pax: [["linkpath", `${LONG}\xfe`]] },
    { linkPath: `${LONG}\xfe` },
  ],
  cap_setuid: [
    { path: "x", pax: [["SCHILY.xattr.security.capability", CAP_SETUID]] },
    { xattrs: new Map([["security.capability", CAP_SETUID]]) },
  ],
  "xattrs with newlines, NULs and nothing": [
    {
      path: "x",
      pax: [
        ["SCHILY.xattr.user.newline", "a\nb"],
        ["SCHILY.xattr.user.nul", "\0\0a"],
        ["SCHILY.xattr.user.empty", ""],
      ],
    },
    {
      xattrs: new Map([
        ["user.newline", Buffer.from("a\nb")],
        ["user.nul", Buffer.from("\0\0a")],
        ["user.empty", Buffer.alloc(0)],
      ]),
    },
  ],
  "owners beyond 2^31 by pax": [
    {
      path: "x",
      pax: [
        ["uid", "3000000000"],
        ["gid", "4294967294"],
      ],
    },
    { uid: 3_000_000_000, gid: 4_294_967_294 },
  ],
  "an owner beyond 2^31 by GNU": [
    { path: "x", uid: encodeBase256(3_000_000_000n, 8), magic: "gnu" },
    { uid: 3_000_000_000 },
  ],
  "1960 by pax": [
    { path: "x", pax: [["mtime", "-312753293.8"]] },
    { mtime: { sec: -312_753_294, nsec: 200_000_000 } },
  ],
  "1960 by GNU": [
    { path: "x", mtime: encodeBase256(-312_753_294n), magic: "gnu" },
    { mtime: { sec: -312_753_294, nsec: 0 } },
  ],
  "2100 by pax": [
    { path: "x", pax: [["mtime", "4102444800.000000001"]] },
    { mtime: { sec: 4_102_444_800, nsec: 1 } },
  ],
  "2300 by GNU": [
    { path: "x", mtime: encodeBase256(10_413_792_000n), magic: "gnu" },
    { mtime: { sec: 10_413_792_000, nsec: 0 } },
  ],
  "a hard link with a size and no content": [
    { path: "b", type: "hardlink", linkPath: "a", size: 5000 },
    { type: "hardlink", sizeBytes: 0 },
  ],
  "a header without magic": [{ path: "x", magic: "none" }, { path: "x" }],
};

it.each(Object.entries(cases))("reads %s", (_name, [member, expected]) => {
  expect(readOne(member)).toMatchObject(expected);
});

it("reads GNU's long names", () => {
  const archive = Buffer.concat([
    buildRawHeader("././@LongLink", "L", Buffer.from(`${LONG}/\xff\0`, "latin1")),
    buildRawHeader("././@LongLink", "K", Buffer.from(`${LONG}2\0`, "latin1")),
    buildMember({ path: LONG, type: "symlink", linkPath: LONG, magic: "gnu" }),
    buildTar([{ path: "next" }]),
  ]);
  const [long, next] = read(archive);
  expect(long!.entry).toMatchObject({ path: `${LONG}/\xff`, linkPath: `${LONG}2` });
  expect(next!.entry).toMatchObject({ path: "next", linkPath: "" });
});

it("applies a global header to all members that follow, below their own headers", () => {
  const archive = Buffer.concat([
    buildPax(
      [
        ["uid", "12"],
        ["SCHILY.xattr.user.a", "1"],
      ],
      "g",
    ),
    buildTar([
      { path: "a" },
      {
        path: "b",
        pax: [
          ["uid", "13"],
          ["SCHILY.xattr.user.b", "2"],
        ],
      },
      { path: "c", pax: [["uid", ""]] },
    ]),
  ]);
  expect(read(archive).map(({ entry }) => [entry.uid, [...entry.xattrs.keys()]])).toEqual([
    [12, ["user.a"]],
    [13, ["user.a", "user.b"]],
    [0, ["user.a"]],
  ]);
});

describe("reads the same from pieces", () => {
  const content = Buffer.from(Array.from({ length: 1500 }, (_, i) => i & 0xff));
  const archive = buildTar([
    { path: "d/", type: "directory" },
    {
      path: "d/a",
      content,
      pax: [
        ["path", `d/${LONG}`],
        ["SCHILY.xattr.user.x", content],
      ],
    },
    { path: "empty" },
    { path: "one-block", content: content.subarray(0, 512) },
    { path: "last", content: "x" },
  ]);
  it.each([1, 7, 511, 512, 513, 1024, 4096])("of %d bytes", (pieceBytes) => {
    const members = read(archive, pieceBytes);
    expect(members.map(({ entry }) => entry.path)).toEqual(["d/", `d/${LONG}`, "empty", "one-block", "last"]);
    expect(members[1]!.entry.xattrs.get("user.x")).toEqual(content);
    expect(members.map((member) => member.content.length)).toEqual([0, 1500, 0, 512, 1]);
    expect(members[1]!.content).toEqual(content);
  });
});

it("stops at the end mark, as other readers do", () => {
  const archive = Buffer.concat([buildTar([{ path: "a" }]), buildTar([{ path: "hidden" }])]);
  expect(read(archive, 512).map(({ entry }) => entry.path)).toEqual(["a"]);
});

it("accepts an archive without members, and one with half an end mark", () => {
  expect(read(Buffer.alloc(1024))).toEqual([]);
  expect(read(buildTar([{ path: "a", content: "b" }], { endBlocks: 1 }))).toHaveLength(1);
});

const file = buildMember({ path: "a", content: "x".repeat(600) });
const broken = Buffer.from(file);
broken[0]! ^= 1;
const end = Buffer.alloc(1024);

const refused: Record<string, [archive: Buffer, code: string, limits?: TarLimits]> = {
  "an empty file": [Buffer.alloc(0), "ARCHIVE_TRUNCATED"],
  "no end mark": [file, "ARCHIVE_TRUNCATED"],
  "truncated in a content": [file.subarray(0, 700), "ARCHIVE_TRUNCATED"],
  "truncated in a content, at the end of a block": [file.subarray(0, 1024), "ARCHIVE_TRUNCATED"],
  "truncated in the padding": [file.subarray(0, 1200), "ARCHIVE_TRUNCATED"],
  "truncated in a header": [Buffer.concat([file, file.subarray(0, 100)]), "ARCHIVE_TRUNCATED"],
  "truncated after a pax header": [buildPax([["path", "a"]]), "ARCHIVE_TRUNCATED"],
  "an end mark after a pax header": [Buffer.concat([buildPax([["path", "a"]]), end]), "ARCHIVE_CORRUPT"],
  "a member after half an end mark": [Buffer.concat([file, Buffer.alloc(512), file, end]), "ARCHIVE_CORRUPT"],
  "a file that is not a tar": [Buffer.from("<!DOCTYPE html>".padEnd(2048, "x")), "ARCHIVE_UNKNOWN_FORMAT"],
  "a wrong checksum in the first header": [Buffer.concat([broken, end]), "ARCHIVE_UNKNOWN_FORMAT"],
  "a wrong checksum in a later header": [Buffer.concat([file, broken, end]), "ARCHIVE_CORRUPT"],
  "a GNU sparse file": [buildTar([{ path: "s", typeflag: "S", magic: "gnu" }]), "ARCHIVE_UNSUPPORTED_MEMBER"],
  "a pax sparse file, 1.0": [
    buildTar([
      {
        path: "GNUSparseFile.1/s",
        pax: [
          ["GNU.sparse.major", "1"],
          ["GNU.sparse.minor", "0"],
        ],
      },
    ]),
    "ARCHIVE_UNSUPPORTED_MEMBER",
  ],
  "a pax sparse file, 0.0": [
    buildTar([
      {
        path: "s",
        pax: [
          ["GNU.sparse.size", "100"],
          ["GNU.sparse.offset", "0"],
        ],
      },
    ]),
    "ARCHIVE_UNSUPPORTED_MEMBER",
  ],
  "star's sparse file": [
    buildTar([{ path: "s", pax: [["SCHILY.realsize", "100"]] }]),
    "ARCHIVE_UNSUPPORTED_MEMBER",
  ],
  "a volume label": [buildTar([{ path: "label", typeflag: "V" }]), "ARCHIVE_UNSUPPORTED_MEMBER"],
  "a broken pax header": [
    Buffer.concat([buildRawHeader("p", "x", Buffer.from("9 a=b\n")), file, end]),
    "ARCHIVE_CORRUPT",
  ],
  "an invalid pax size": [buildTar([{ path: "a", pax: [["size", "-1"]] }]), "ARCHIVE_CORRUPT"],
  "a huge pax size": [buildTar([{ path: "a", pax: [["size", "9999999999999999"]] }]), "ARCHIVE_CORRUPT"],
  "an invalid pax uid": [buildTar([{ path: "a", pax: [["uid", "root"]] }]), "ARCHIVE_CORRUPT"],
  "the reserved uid": [buildTar([{ path: "a", pax: [["uid", "4294967295"]] }]), "ARCHIVE_CORRUPT"],
  "a negative uid": [buildTar([{ path: "a", uid: encodeBase256(-5n, 8) }]), "ARCHIVE_CORRUPT"],
  "a negative size": [buildTar([{ path: "a", size: encodeBase256(-512n) }]), "ARCHIVE_CORRUPT"],
  "an invalid size": [buildTar([{ path: "a", size: Buffer.from("xyz\0") }]), "ARCHIVE_CORRUPT"],
  "a size in an unknown form": [
    buildTar([{ path: "a", size: Buffer.from([0x81, 1, 1]) }]),
    "ARCHIVE_CORRUPT",
  ],
  "a device number beyond the kernel's": [
    buildTar([{ path: "a", type: "char", device: [5000, 1] }]),
    "ARCHIVE_CORRUPT",
  ],
  "a NUL in a pax name": [buildTar([{ path: "a", pax: [["path", "a\0b"]] }]), "ARCHIVE_CORRUPT"],
  "too many headers": [Buffer.concat(Array(20).fill(buildPax([["a", "b"]]))), "ARCHIVE_LIMIT_EXCEEDED"],
  "a header that is too long": [
    Buffer.concat([buildPax([["a", "b".repeat(3000)]]), file, end]),
    "ARCHIVE_LIMIT_EXCEEDED",
    { maxHeaderBytes: 2000 },
  ],
  "a header that claims to be too long": [
    buildTar([{ path: "a", typeflag: "x", size: 0o77777777777 }]),
    "ARCHIVE_LIMIT_EXCEEDED",
  ],
  "too many members": [
    buildTar([{ path: "a" }, { path: "b" }, { path: "c" }]),
    "ARCHIVE_LIMIT_EXCEEDED",
    { maxEntries: 2 },
  ],
};

it.each(Object.entries(refused))("refuses %s", (_name, [archive, code, limits]) => {
  expect(() => read(archive, undefined, limits)).toThrow(expect.objectContaining({ code }));
  expect(() => read(archive, 100, limits)).toThrow(expect.objectContaining({ code }));
});

it("throws an error of the visitor", () => {
  const reader = createTarReader({
    onEntry() {
      throw new Error("disk full");
    },
    onContent() {},
    onEntryEnd() {},
  });
  expect(() => reader.write(file)).toThrow("disk full");
});
