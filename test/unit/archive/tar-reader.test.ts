import { describe, expect, it } from "vitest";
import type { TarEntry } from "../../../agent/archive/tar-entry.ts";
import { type TarLimits, TarReader } from "../../../agent/archive/tar-reader.ts";
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
  const reader = new TarReader(
    {
      onEntry(entry) {
        expect(ends).toBe(members.length);
        members.push({ entry, content: Buffer.alloc(0) });
      },
      onContent(chunk) {
        const last = members.at(-1)!;
        last.content = Buffer.concat([last.content, chunk]);
      },
      onHole(sizeBytes) {
        const last = members.at(-1)!;
        last.content = Buffer.concat([last.content, Buffer.alloc(sizeBytes)]);
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
  "a negative owner by GNU": [{ path: "x", uid: encodeBase256(-2n, 8) }, { uid: 4_294_967_294 }],
  "a negative owner by pax": [{ path: "x", pax: [["uid", "-2"]] }, { uid: 4_294_967_294 }],
  "the owner that means unchanged": [
    {
      path: "x",
      pax: [
        ["uid", "4294967295"],
        ["gid", "-1"],
      ],
    },
    { uid: 0, gid: 0 },
  ],
  "a checksum of signed bytes": [{ path: "caf\xe9", signedSum: true }, { path: "caf\xe9" }],
  "anything in place of a file's device number": [
    { path: "x", raw: [[329, Buffer.from("garbage!")]] },
    { path: "x", devMajor: 0 },
  ],
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

it("ignores global headers, as podman does", () => {
  const archive = Buffer.concat([
    buildPax([["path", "lost"]]),
    buildPax(
      [
        ["uid", "12"],
        ["path", "global"],
        ["SCHILY.xattr.user.a", "1"],
      ],
      "g",
    ),
    buildTar([{ path: "a" }, { path: "b", pax: [["uid", "13"]] }]),
  ]);
  expect(read(archive).map(({ entry }) => [entry.path, entry.uid, entry.xattrs.size])).toEqual([
    ["a", 0, 0],
    ["b", 13, 0],
  ]);
});

const longName = buildRawHeader("././@LongLink", "L", Buffer.from("gnu\0"));
const longLink = buildRawHeader("././@LongLink", "K", Buffer.from("gnu-target\0"));
const paxNames = buildPax([
  ["path", "pax"],
  ["linkpath", "pax-target"],
]);
const linkMember = buildMember({ path: "x", type: "symlink", linkPath: "y" });

it.each([
  ["before", [longName, longLink, paxNames]],
  ["after", [paxNames, longLink, longName]],
])("prefers GNU's long names %s those of pax, as podman does", (_name, headers) => {
  const [member] = read(Buffer.concat([...headers, linkMember]));
  expect(member!.entry).toMatchObject({ path: "gnu", linkPath: "gnu-target" });
});

describe("reads a sparse file", () => {
  const data = Buffer.concat([Buffer.from("A".repeat(512)), Buffer.from("B".repeat(100))]);
  const content = Buffer.alloc(5000);
  data.copy(content, 1024, 0, 512);
  data.copy(content, 4900, 512);
  const words = (numbers: number[]) => numbers.map((number) => `${number}\n`).join("");
  const map10 = Buffer.from(words([2, 1024, 512, 4900, 100]).padEnd(512, "\0"));
  const pax10: Member["pax"] = [
    ["GNU.sparse.major", "1"],
    ["GNU.sparse.minor", "0"],
    ["GNU.sparse.name", "s"],
    ["GNU.sparse.realsize", "5000"],
  ];
  const gnu = (layout: { regions: number; isExtended: number; realSize: number }, more: Partial<Member>) => {
    const field = (number: number) => Buffer.from(`${number.toString(8).padStart(11, "0")}\0`);
    const extension = Buffer.alloc(512);
    Buffer.concat([field(4900), field(100), field(5000), field(0)]).copy(extension);
    const first = [
      field(1024),
      field(512),
      field(1536),
      field(0),
      field(1536),
      field(0),
      field(1536),
      field(0),
    ];
    const member: Member = {
      path: "s",
      typeflag: "S",
      size: data.length,
      raw: [
        [layout.regions, Buffer.concat(first)],
        [layout.isExtended, Buffer.from([1])],
        [layout.realSize, field(5000)],
      ],
      ...more,
    };
    return Buffer.concat([buildMember(member), extension, data]);
  };
  const forms: Record<string, Buffer> = {
    "of GNU's type S": gnu({ regions: 386, isExtended: 482, realSize: 483 }, { magic: "gnu" }),
    "of star's type S": gnu({ regions: 356, isExtended: 355, realSize: 452 }, { trailer: "tar\0" }),
    "of pax 0.0": buildMember({
      path: "s",
      content: data,
      pax: [
        ["GNU.sparse.size", "5000"],
        ["GNU.sparse.numblocks", "2"],
        ["GNU.sparse.offset", "1024"],
        ["GNU.sparse.numbytes", "512"],
        ["GNU.sparse.offset", "4900"],
        ["GNU.sparse.numbytes", "100"],
      ],
    }),
    "of pax 0.1": buildMember({
      path: "GNUSparseFile.1/s",
      content: data,
      pax: [
        ["GNU.sparse.size", "5000"],
        ["GNU.sparse.numblocks", "2"],
        ["GNU.sparse.map", "1024,512,4900,100"],
        ["GNU.sparse.name", "s"],
      ],
    }),
    "of pax 1.0": buildMember({
      path: "GNUSparseFile.1/s",
      content: Buffer.concat([map10, data]),
      pax: pax10,
    }),
  };
  it.each(Object.entries(forms))("%s", (_name, member) => {
    for (const pieceBytes of [1, 100, 512, 10_000]) {
      const [sparse, next] = read(
        Buffer.concat([member, padding(member), buildTar([{ path: "next" }])]),
        pieceBytes,
      );
      expect(sparse!.entry).toMatchObject({ path: "s", type: "file", sizeBytes: 5000 });
      expect(sparse!.content.equals(content)).toBe(true);
      expect(next!.entry.path).toBe("next");
    }
  });

  const wrong: Record<string, [map: string, code?: string, pax?: Member["pax"]]> = {
    "whose regions overlap": [words([2, 0, 512, 100, 100])],
    "whose region exceeds it": [words([2, 0, 512, 4950, 100])],
    "with less data than its map": [words([2, 0, 512, 4900, 99])],
    "without numbers": ["x\n"],
    "with a map that never ends": ["9".repeat(512)],
    "with a negative size": [words([1, 0, 612]), "ARCHIVE_CORRUPT", [["GNU.sparse.realsize", "-1"]]],
    "of a later version": [words([1, 0, 612]), "ARCHIVE_UNSUPPORTED_MEMBER", [["GNU.sparse.major", "2"]]],
  };
  it.each(Object.entries(wrong))("%s: refuses it", (_name, [map, code = "ARCHIVE_CORRUPT", pax = []]) => {
    const body = Buffer.concat([Buffer.from(map.padEnd(512, "\0")), data]);
    const archive = buildTar([{ path: "s", content: body, pax: [...pax10, ...pax] }]);
    expect(() => read(archive)).toThrow(expect.objectContaining({ code }));
  });

  it("counts its holes before it passes them on", () => {
    const archive = buildTar([{ path: "s", content: Buffer.concat([map10, data]), pax: pax10 }]);
    const checkHoles = (holeBytes: number) => {
      throw new Error(`${holeBytes} bytes of holes`);
    };
    expect(() => read(archive, 512, { checkHoles })).toThrow("4388 bytes of holes");
  });
});

const padding = (member: Buffer) => Buffer.alloc((512 - (member.length % 512)) % 512);

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

const file = buildMember({ path: "a", content: "x".repeat(600) });
const paxHeader = buildPax([["path", "b"]]);

it.each<[string, Buffer, string[]]>([
  ["of no bytes", Buffer.alloc(0), []],
  ["without members", Buffer.alloc(1024), []],
  ["with half an end mark", Buffer.concat([file, Buffer.alloc(512)]), ["a"]],
  ["with less than that", Buffer.concat([file, Buffer.alloc(100)]), ["a"]],
  ["without an end mark", file, ["a"]],
  ["without the last padding", file.subarray(0, 512 + 600), ["a"]],
  ["with an extended header in place of its end", Buffer.concat([file, paxHeader]), ["a"]],
  ["with an extended header before its end", Buffer.concat([file, paxHeader, Buffer.alloc(1024)]), ["a"]],
  ["with a volume label", Buffer.concat([buildMember({ path: "v", typeflag: "V" }), file]), ["a"]],
])("accepts an archive %s", (_name, archive, paths) => {
  for (const pieceBytes of [1, 512, 5000])
    expect(read(archive, pieceBytes).map(({ entry }) => entry.path)).toEqual(paths);
});

it("never reads content as members", () => {
  const content = buildMember({ path: "smuggled", mode: 0o4755 });
  const archive = (typeflag: string, body: Buffer) =>
    buildTar([{ path: "d/", typeflag, magic: "gnu", content: body }, { path: "next" }]);
  for (const typeflag of ["0", "\0", "7"]) {
    expect(read(archive(typeflag, content)).map(({ entry }) => [entry.path, entry.type])).toEqual([
      ["d/", "file"],
      ["next", "file"],
    ]);
    expect(read(archive(typeflag, Buffer.alloc(0)))[0]!.entry.type).toBe("directory");
  }
  expect(read(archive("D", content)).map(({ entry }) => [entry.path, entry.type])).toEqual([
    ["d/", "directory"],
    ["next", "file"],
  ]);
});

const broken = Buffer.from(file);
broken[0]! ^= 1;
const end = Buffer.alloc(1024);

const refused: Record<string, [archive: Buffer, code: string, limits?: TarLimits]> = {
  "truncated in a content": [file.subarray(0, 700), "ARCHIVE_TRUNCATED"],
  "truncated in a content, at the end of a block": [file.subarray(0, 1024), "ARCHIVE_TRUNCATED"],
  "truncated in a header": [Buffer.concat([file, file.subarray(0, 100)]), "ARCHIVE_TRUNCATED"],
  "truncated in a pax header": [paxHeader.subarray(0, 515), "ARCHIVE_TRUNCATED"],
  "a member after half an end mark": [Buffer.concat([file, Buffer.alloc(512), file, end]), "ARCHIVE_CORRUPT"],
  "a file that is not a tar": [Buffer.from("<!DOCTYPE html>".padEnd(2048, "x")), "ARCHIVE_UNKNOWN_FORMAT"],
  "a wrong checksum in the first header": [Buffer.concat([broken, end]), "ARCHIVE_UNKNOWN_FORMAT"],
  "a wrong checksum in a later header": [Buffer.concat([file, broken, end]), "ARCHIVE_CORRUPT"],
  "star's sparse file": [
    buildTar([{ path: "s", pax: [["SCHILY.realsize", "100"]] }]),
    "ARCHIVE_UNSUPPORTED_MEMBER",
  ],
  "a volume of several": [buildTar([{ path: "a", typeflag: "M" }]), "ARCHIVE_UNSUPPORTED_MEMBER"],
  "an unknown type": [buildTar([{ path: "a", typeflag: "A" }]), "ARCHIVE_UNSUPPORTED_MEMBER"],
  "a sparse file without a map": [buildTar([{ path: "a", typeflag: "S" }]), "ARCHIVE_UNSUPPORTED_MEMBER"],
  "a broken pax header": [
    Buffer.concat([buildRawHeader("p", "x", Buffer.from("9 a=b\n")), file, end]),
    "ARCHIVE_CORRUPT",
  ],
  "an invalid pax size": [buildTar([{ path: "a", pax: [["size", "-1"]] }]), "ARCHIVE_CORRUPT"],
  "a huge pax size": [buildTar([{ path: "a", pax: [["size", "9999999999999999"]] }]), "ARCHIVE_CORRUPT"],
  "an invalid pax uid": [buildTar([{ path: "a", pax: [["uid", "root"]] }]), "ARCHIVE_CORRUPT"],
  "a uid of 33 bits": [buildTar([{ path: "a", pax: [["uid", "4294967296"]] }]), "ARCHIVE_CORRUPT"],
  "a uid below those of 32 bits": [
    buildTar([{ path: "a", pax: [["uid", "-2147483649"]] }]),
    "ARCHIVE_CORRUPT",
  ],
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
  "a path that is too long": [
    buildTar([{ path: "a", pax: [["path", "b".repeat(4096)]] }]),
    "ARCHIVE_LIMIT_EXCEEDED",
  ],
  "a link target that is too long": [
    buildTar([{ path: "a", type: "symlink", pax: [["linkpath", "b".repeat(4096)]] }]),
    "ARCHIVE_LIMIT_EXCEEDED",
  ],
  "a member with too many bytes of attributes": [
    buildTar([{ path: "a", pax: [["SCHILY.xattr.user.a", "b".repeat(32_750)]] }]),
    "ARCHIVE_LIMIT_EXCEEDED",
  ],
  "members with too many bytes of attributes in all": [
    buildTar([1, 2, 3].map((n) => ({ path: `${n}`, pax: [["SCHILY.xattr.user.a", "b".repeat(400)]] }))),
    "ARCHIVE_LIMIT_EXCEEDED",
    { maxNameBytes: 1000 },
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
  const reader = new TarReader({
    onEntry() {
      throw new Error("disk full");
    },
    onContent() {},
    onHole() {},
    onEntryEnd() {},
  });
  expect(() => reader.write(file)).toThrow("disk full");
});
