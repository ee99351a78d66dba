/**
 * Tables of contents are read entry by entry in whatever pieces they come, and everything odd in them is refused.
 * The cases are data: what is changed in a good table, and the code that comes out.
 */

import { describe, expect, test } from "vitest";
import { type Toc, TocReader } from "../../../agent/archive/zstd-chunked/toc.ts";
import { parseToc } from "./readers.ts";

const hex = (digit: string) => digit.repeat(64);
const digest = (digit: string) => `sha256:${hex(digit)}`;
const DATA_END = 10_000;
const BAD_TOC = "CHUNKED_BAD_TOC";

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
  test("with all types of entries is read", () => {
    const { files, tarSplitDigest } = parse(
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

  test("lists files in the order of their bytes", () => {
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

  const cases: [string, Buffer, string][] = [
    ["text that is not JSON", Buffer.from("no JSON"), BAD_TOC],
    ["no text", Buffer.alloc(0), BAD_TOC],
    ["a list", Buffer.from("[]"), BAD_TOC],
    ["a truncated text", toc([file()]).subarray(0, -3), BAD_TOC],
    ["text after the end", Buffer.concat([toc([file()]), Buffer.from("{}")]), BAD_TOC],
    ["brackets that do not match", Buffer.from('{"version":1,"entries":[}]'), BAD_TOC],
    [
      "bytes that are not UTF-8",
      Buffer.from('{"version":1,"entries":[{"type":"dir","name":"\xff"}]}', "latin1"),
      BAD_TOC,
    ],
    ["a trailing comma", Buffer.from('{"version":1,"entries":[{"type":"dir","name":"a"},]}'), BAD_TOC],
    ["only a comma", Buffer.from('{"version":1,"entries":[,]}'), BAD_TOC],
    ["another version", toc([], { version: 2 }), BAD_TOC],
    ["no entries", Buffer.from('{"version":1}'), BAD_TOC],
    ["a bad tar-split digest", toc([], { tarSplitDigest: "sha256:../../etc" }), BAD_TOC],
    ["an entry that is not an object", toc([[]]), BAD_TOC],
    ["an unknown type", toc([file({ type: "socket" })]), BAD_TOC],
    ["a name with a NUL", toc([file({ name: "a\0b" })]), BAD_TOC],
    ["a name that is not a string", toc([file({ name: 5 })]), BAD_TOC],
    ["a digest of another algorithm", toc([file({ digest: `sha512:${hex("a")}` })]), BAD_TOC],
    ["a digest in capitals", toc([file({ digest: digest("A") })]), BAD_TOC],
    ["content without a digest", toc([file({ digest: undefined })]), BAD_TOC],
    ["content without an offset", toc([file({ offset: 0 })]), BAD_TOC],
    ["content that ends before it begins", toc([file({ endOffset: 100 })]), BAD_TOC],
    ["content inside the TOC", toc([file({ endOffset: DATA_END + 1 })]), BAD_TOC],
    ["a negative size", toc([file({ size: -1 })]), BAD_TOC],
    ["a size that is not an integer", toc([file({ size: 1.5 })]), BAD_TOC],
    ["a size above 2^53", toc([file({ size: 1e300 })]), BAD_TOC],
    ["contents that overlap", toc([file(), file({ name: "b", offset: 110, endOffset: 130 })]), BAD_TOC],
    ["a chunk without a file", toc([chunked[1]]), BAD_TOC],
    ["a chunk of another file", toc([chunked[0], { ...chunked[1], name: "other" }, chunked[2]]), BAD_TOC],
    ["chunks out of order", toc([chunked[0], chunked[2], chunked[1]]), BAD_TOC],
    [
      "chunks with a hole between",
      toc([chunked[0], { ...chunked[1], chunkOffset: 101 }, chunked[2]]),
      BAD_TOC,
    ],
    ["chunks that do not fill the file", toc(chunked.slice(0, 2)), BAD_TOC],
    ["a chunk beyond its file", toc([chunked[0], chunked[1], { ...chunked[2], offset: 400 }]), BAD_TOC],
    ["a chunk without a digest", toc([chunked[0], chunked[1], { ...chunked[2], chunkDigest: "" }]), BAD_TOC],
    [
      "an empty chunk",
      toc([chunked[0], { ...chunked[1], chunkSize: 0 }, { ...chunked[2], chunkOffset: 100, chunkSize: 200 }]),
      BAD_TOC,
    ],
    [
      "an unknown kind of chunk",
      toc([chunked[0], { ...chunked[1], chunkType: "ones" }, chunked[2]]),
      BAD_TOC,
    ],
    ["an entry of 5 MB", toc([file({ name: "n".repeat(5_000_000) })]), BAD_TOC],
  ];
  test.each(cases)("with %s is refused", (_, bytes, code) => {
    expect(() => parse(bytes)).toThrow(expect.objectContaining({ code }));
  });

  test("is refused above the limits of bytes and entries", () => {
    const bytes = toc([file(), file({ name: "b", offset: 130, endOffset: 140 })]);
    expect(() => parseToc(bytes, { dataEnd: DATA_END, maxBytes: bytes.length - 1 })).toThrow(
      expect.objectContaining({ code: "CHUNKED_TOO_LARGE" }),
    );
    expect(() => parseToc(bytes, { dataEnd: DATA_END, maxEntries: 1 })).toThrow(
      expect.objectContaining({ code: "CHUNKED_TOO_LARGE" }),
    );
  });
});

describe("a table of contents of many batches", () => {
  const many = Array.from({ length: 20_000 }, (_, index) =>
    file({ name: `d/${index}`, offset: 100 + 10 * index, endOffset: 110 + 10 * index }),
  );
  const limits = { dataEnd: 1_000_000 };
  const fields = { tarSplitDigest: digest("f"), extra: [{ type: "reg" }, { type: "reg" }] };
  const read = (bytes: Buffer, pieceBytes: number) => {
    const reader = new TocReader(limits);
    for (let at = 0; at < bytes.length; at += pieceBytes) reader.push(bytes.subarray(at, at + pieceBytes));
    return reader.finish();
  };

  test("is the same in pieces of any size", () => {
    const bytes = toc(many, fields);
    for (const pieceBytes of [1000, 131_072, bytes.length]) {
      const { files, tarSplitDigest } = read(bytes, pieceBytes);
      expect([...files].map(({ name }) => name)).toEqual(many.map(({ name }) => name));
      expect(tarSplitDigest).toBe(hex("f"));
    }
  });

  test("is refused if it has a second list of entries or is truncated", () => {
    const bytes = toc(many);
    const second = Buffer.concat([bytes.subarray(0, -1), Buffer.from(',"entries":[]}')]);
    for (const bad of [second, bytes.subarray(0, -2), bytes.subarray(0, -200)])
      expect(() => read(bad, 131_072)).toThrow(expect.objectContaining({ code: BAD_TOC }));
  });

  test("may be formatted in another way if it is small", () => {
    const pretty = (entries: readonly object[]) =>
      Buffer.from(JSON.stringify({ version: 1, entries }, undefined, 2));
    expect(read(pretty(many.slice(0, 5000)), 131_072).files.length).toBe(5000);
    expect(() => read(pretty(many), 131_072)).toThrow(expect.objectContaining({ code: BAD_TOC }));
  });
});
