/**
 * Tables of contents are read entry by entry in whatever pieces they come, and everything odd in them is refused.
 * The cases are data: what is changed in a good table, and the code that comes out.
 */

import { describe, expect, test } from "vitest";
import { JsonEntriesReader } from "../../../agent/archive/zstd-chunked/json-entries.ts";
import { parseToc, type Toc, TocReader } from "../../../agent/archive/zstd-chunked/toc.ts";

const hex = (digit: string) => digit.repeat(64);
const digest = (digit: string) => `sha256:${hex(digit)}`;
const DATA_END = 10_000;

const file = (fields: object = {}) => ({
  type: "reg",
  name: "etc/hello",
  mode: 0o644,
  size: 6,
  digest: digest("a"),
  offset: 100,
  endOffset: 120,
  ...fields,
});
const chunked = [
  file({ name: "big", size: 300, offset: 200, endOffset: 400, chunkSize: 100, chunkDigest: digest("1") }),
  {
    type: "chunk",
    name: "big",
    offset: 250,
    chunkOffset: 100,
    chunkSize: 150,
    chunkType: "zeros",
    chunkDigest: digest("2"),
  },
  { type: "chunk", name: "big", offset: 260, chunkOffset: 250, chunkSize: 50, chunkDigest: digest("3") },
];
const toc = (entries: unknown, fields: object = {}) =>
  Buffer.from(JSON.stringify({ version: 1, entries, ...fields }));
const parse = (bytes: Buffer) => parseToc(bytes, { dataEnd: DATA_END });

const list = ({ files, ...rest }: Toc) => ({ files: [...files], ...rest });

describe("a table of contents", () => {
  test("with all kinds of entries is read", () => {
    const { files, entryCount, tarSplitDigest } = parse(
      toc(
        [
          { type: "dir", name: "./", mode: 0o40755, modtime: "2023-11-14T22:13:20Z" },
          file({
            modtime: "2023-11-14T23:13:20.5+01:00",
            mode: 33188,
            xattrs: { "user.a": "AP8=" },
            uid: 7,
            gid: 8,
          }),
          file({ name: "empty", size: 0, digest: "", offset: 0, endOffset: 0 }),
          ...chunked,
          { type: "hardlink", name: "hard", linkName: "etc/hello", size: 6 },
          { type: "symlink", name: "ünï", linkName: "ö" },
          { type: "char", name: "dev/null", devMajor: 1, devMinor: 3, modtime: "0001-01-01T00:00:00Z" },
          { type: "fifo", name: "pipe", xattrs: null, linkName: null },
        ],
        { tarSplitDigest: digest("f") },
      ),
    );
    expect(tarSplitDigest).toBe(hex("f"));
    expect(entryCount).toBe(8);
    expect([...files]).toEqual([
      {
        name: "etc/hello",
        sizeBytes: 6,
        digest: hex("a"),
        chunks: [
          { offset: 100, endOffset: 120, fileOffset: 0, sizeBytes: 6, digest: hex("a"), isZeros: false },
        ],
      },
      {
        name: "big",
        sizeBytes: 300,
        digest: hex("a"),
        chunks: [
          { offset: 200, endOffset: 250, fileOffset: 0, sizeBytes: 100, digest: hex("1"), isZeros: false },
          { offset: 250, endOffset: 260, fileOffset: 100, sizeBytes: 150, digest: hex("2"), isZeros: true },
          { offset: 260, endOffset: 400, fileOffset: 250, sizeBytes: 50, digest: hex("3"), isZeros: false },
        ],
      },
    ]);
  });

  test("gives its files in the order of their bytes", () => {
    const { files } = parse(toc([file({ name: "ü", offset: 300, endOffset: 310 }), file()]));
    expect([...files].map(({ name }) => name)).toEqual(["etc/hello", Buffer.from("ü").toString("latin1")]);
  });

  test("is the same in pieces of any size", () => {
    const bytes = toc([...chunked, file({ name: 'a"\\],[{}é' })], { extra: { entries: [1, [2]] } });
    const whole = parse(bytes);
    for (const pieceBytes of [1, 2, 3, 17, 1000]) {
      const reader = new TocReader({ dataEnd: DATA_END });
      for (let at = 0; at < bytes.length; at += pieceBytes) reader.push(bytes.subarray(at, at + pieceBytes));
      expect(list(reader.finish())).toEqual(list(whole));
    }
  });

  test("may have no entries", () => {
    expect(parse(toc([])).files.length).toBe(0);
    expect(parse(Buffer.from(' { "entries" : [ ] , "version" : 1 } ')).files.length).toBe(0);
    expect(parse(toc(null)).files.length).toBe(0);
  });

  const BAD = "CHUNKED_BAD_TOC";
  const cases: [string, Buffer, string][] = [
    ["no JSON", Buffer.from("no JSON"), BAD],
    ["an empty text", Buffer.alloc(0), BAD],
    ["a list", Buffer.from("[]"), BAD],
    ["a cut text", toc([file()]).subarray(0, -3), BAD],
    ["a text that goes on", Buffer.concat([toc([file()]), Buffer.from("{}")]), BAD],
    ["brackets that do not match", Buffer.from('{"version":1,"entries":[}]'), BAD],
    ["two lists of entries", Buffer.from('{"version":1,"entries":[],"entries":[]}'), BAD],
    [
      "bytes that are not UTF-8",
      Buffer.from('{"version":1,"entries":[{"type":"dir","name":"\xff"}]}', "latin1"),
      BAD,
    ],
    ["a comma too many", Buffer.from('{"version":1,"entries":[{"type":"dir","name":"a"},]}'), BAD],
    ["a comma alone", Buffer.from('{"version":1,"entries":[,]}'), BAD],
    ["another version", toc([], { version: 2 }), BAD],
    ["no entries", Buffer.from('{"version":1}'), BAD],
    ["a bad tar-split digest", toc([], { tarSplitDigest: "sha256:../../etc" }), BAD],
    ["an entry that is no object", toc([[]]), BAD],
    ["an unknown type", toc([file({ type: "socket" })]), BAD],
    ["a name with a NUL", toc([file({ name: "a\0b" })]), BAD],
    ["a name that is no text", toc([file({ name: 5 })]), BAD],
    ["a digest of another kind", toc([file({ digest: `sha512:${hex("a")}` })]), BAD],
    ["a digest in capitals", toc([file({ digest: digest("A") })]), BAD],
    ["content without a digest", toc([file({ digest: undefined })]), BAD],
    ["content nowhere", toc([file({ offset: 0 })]), BAD],
    ["content that ends before it begins", toc([file({ endOffset: 100 })]), BAD],
    ["content inside the tables", toc([file({ endOffset: DATA_END + 1 })]), BAD],
    ["a negative size", toc([file({ size: -1 })]), BAD],
    ["a size that is no integer", toc([file({ size: 1.5 })]), BAD],
    ["a size beyond all numbers", toc([file({ size: 1e300 })]), BAD],
    ["contents that overlap", toc([file(), file({ name: "b", offset: 110, endOffset: 130 })]), BAD],
    ["a symlink to nothing", toc([{ type: "symlink", name: "a" }]), BAD],
    ["a time that is none", toc([file({ modtime: "yesterday" })]), BAD],
    ["an impossible day", toc([file({ modtime: "2023-13-45T00:00:00Z" })]), BAD],
    ["an xattr that is not base64", toc([file({ xattrs: { "user.a": "!!" } })]), BAD],
    ["too many xattrs", toc([file({ xattrs: { "user.a": "A".repeat(60_000) } })]), BAD],
    ["a chunk of no file", toc([chunked[1]]), BAD],
    ["a chunk of another file", toc([chunked[0], { ...chunked[1], name: "other" }, chunked[2]]), BAD],
    ["chunks out of order", toc([chunked[0], chunked[2], chunked[1]]), BAD],
    ["chunks with a hole between", toc([chunked[0], { ...chunked[1], chunkOffset: 101 }, chunked[2]]), BAD],
    ["chunks that do not fill the file", toc(chunked.slice(0, 2)), BAD],
    ["a chunk beyond its file", toc([chunked[0], chunked[1], { ...chunked[2], offset: 400 }]), BAD],
    ["a chunk without a digest", toc([chunked[0], chunked[1], { ...chunked[2], chunkDigest: "" }]), BAD],
    [
      "an empty chunk",
      toc([chunked[0], { ...chunked[1], chunkSize: 0 }, { ...chunked[2], chunkOffset: 100, chunkSize: 200 }]),
      BAD,
    ],
    ["an unknown kind of chunk", toc([chunked[0], { ...chunked[1], chunkType: "ones" }, chunked[2]]), BAD],
    ["an endless entry", toc([file({ name: "n".repeat(300_000) })]), BAD],
  ];
  test.each(cases)("with %s is refused", (_, bytes, code) => {
    expect(() => parse(bytes)).toThrow(expect.objectContaining({ code }));
  });

  test("is bounded in bytes and entries", () => {
    const bytes = toc([file(), file({ name: "b", offset: 130, endOffset: 140 })]);
    expect(() => parseToc(bytes, { dataEnd: DATA_END, maxBytes: bytes.length - 1 })).toThrow(
      expect.objectContaining({ code: "CHUNKED_TOO_LARGE" }),
    );
    expect(() => parseToc(bytes, { dataEnd: DATA_END, maxEntries: 1 })).toThrow(
      expect.objectContaining({ code: "CHUNKED_TOO_LARGE" }),
    );
  });
});

test("elements of a list that is not the one asked for stay in the frame", () => {
  const elements: unknown[] = [];
  const reader = new JsonEntriesReader("entries", (element) => elements.push(element));
  reader.push(Buffer.from('{"others":[1,{"entries":[2]}],"entries":[3,[4,5],"]",{"a":[6]}]}'));
  expect(reader.finish()).toEqual({ others: [1, { entries: [2] }], entries: [] });
  expect(elements).toEqual([3, [4, 5], "]", { a: [6] }]);
});
