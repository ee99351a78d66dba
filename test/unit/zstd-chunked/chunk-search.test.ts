/** Chunks are found in the text of a table, in whatever pieces it comes; what the table is else does not matter. */
import { describe, expect, test } from "vitest";
import { searchChunks } from "../../../agent/archive/zstd-chunked/chunk-search.ts";

const hex = (digit: string) => digit.repeat(64);
const digest = (digit: string) => `sha256:${hex(digit)}`;
const plain = (name: string) => ({
  type: "reg",
  name,
  size: 3,
  digest: digest("0"),
  offset: 1,
  endOffset: 2,
});
const file = (name: string, own: string, firstChunk: string) => ({
  ...plain(name),
  digest: digest(own),
  chunkSize: 1,
  chunkDigest: digest(firstChunk),
});
const chunk = (name: string, of: string, chunkOffset: number) => ({
  type: "chunk",
  name,
  chunkOffset,
  chunkSize: 1,
  chunkDigest: digest(of),
});
const ENTRIES = [
  plain('a "},{ b'),
  file("one", "a", "1"),
  chunk("one", "2", 100),
  { type: "dir", name: "d" },
  file("two}]", "b", "3"),
  chunk("two}]", "4", 200),
  chunk("stray", "5", 300),
];
const TABLE = Buffer.from(JSON.stringify({ version: 1, entries: ENTRIES, tarSplitDigest: digest("f") }));

function search(table: Buffer, pieceBytes: number, wanted: string) {
  const pieces = Array.from({ length: Math.ceil(table.length / pieceBytes) }, (_, index) =>
    table.subarray(index * pieceBytes, (index + 1) * pieceBytes),
  );
  const found = searchChunks(pieces, (sought) => [...wanted].some((digit) => hex(digit) === sought));
  return [...found].map(({ digest, fileDigest, fileOffset }) => [digest[0], fileDigest[0], fileOffset]);
}

describe("a search for chunks", () => {
  test.each([1, 7, 100, 301, 10_000])("finds the wanted chunks in pieces of %i bytes", (pieceBytes) => {
    expect(search(TABLE, pieceBytes, "1234")).toEqual([
      ["1", "a", 0],
      ["2", "a", 100],
      ["3", "b", 0],
      ["4", "b", 200],
    ]);
    expect(search(TABLE, pieceBytes, "2")).toEqual([["2", "a", 100]]);
  });

  const odd: [string, Buffer][] = [
    ["whose chunk follows another file", TABLE],
    ["that is truncated", Buffer.from(`{"entries":[{"type":"reg","chunkDigest":"${digest("5")}"`)],
    ["that is not JSON", Buffer.from(`"chunkDigest":"${digest("5")}`)],
    ["with a file without a digest", Buffer.from(JSON.stringify([{ ...file("x", "a", "5"), digest: 5 }]))],
    ["that is empty", Buffer.alloc(0)],
  ];
  test.each(odd)("finds nothing in a TOC %s", (_, table) => {
    expect(search(table, 50, "5")).toEqual([]);
  });
});
