/**
 * What a partial pull fetches: each missing content once, no zeros, gaps merged, headers short; and when a full
 * download is cheaper, with the reason that the log shows.
 */

import { describe, expect, test } from "vitest";
import { mergeRanges } from "../../../agent/archive/byte-range.ts";
import {
  findHeaderRanges,
  type PlanOptions,
  planPull,
} from "../../../agent/archive/zstd-chunked/plan-ranges.ts";
import type { Toc } from "../../../agent/archive/zstd-chunked/toc.ts";
import { parseToc } from "./readers.ts";

const BLOB_BYTES = 100_000_000;
const DATA_END = 99_000_000;
const hexOf = (number: number) => number.toString(16).padStart(64, "0");

/** Files of 10,000 compressed bytes, one every 50,000, each of another content. */
function makeToc(count: number, extra: object[] = []): Toc {
  const entries = Array.from({ length: count }, (_, index) => ({
    type: "reg",
    name: `file-${index}`,
    size: 20_000,
    digest: `sha256:${hexOf(index)}`,
    offset: 1000 + index * 50_000,
    endOffset: 11_000 + index * 50_000,
  }));
  return parseToc(Buffer.from(JSON.stringify({ version: 1, entries: [...entries, ...extra] })), {
    dataEnd: DATA_END,
  });
}

const plan = (toc: Toc, options: Partial<PlanOptions> = {}) =>
  planPull(toc, {
    blobBytes: BLOB_BYTES,
    dataEnd: DATA_END,
    hasFile: () => false,
    needsHeaders: false,
    ...options,
  });

describe("a plan", () => {
  test("fetches only the missing files", () => {
    const missing = new Set([3, 7]);
    const result = plan(makeToc(10), { hasFile: (number) => !missing.has(number) });
    expect(result.choice).toBe("partial");
    expect(result.requests).toEqual([
      {
        header: "bytes=151000-160999,351000-360999",
        ranges: [
          { start: 151_000, end: 161_000 },
          { start: 351_000, end: 361_000 },
        ],
      },
    ]);
    expect(result).toMatchObject({ partialBytes: 20_000 });
    expect(result.reason).toBe("partial: 2 ranges in 1 request cost 0 % of the whole");
  });

  test("fetches nothing when all files are in the store", () => {
    const result = plan(makeToc(10), { hasFile: () => true });
    expect(result).toMatchObject({ choice: "partial", requests: [], pieces: [], partialBytes: 0 });
    expect(result.reason).toBe("partial: every file is here already");
  });

  test("fetches each content once and never zeros", () => {
    const twin = {
      type: "reg",
      name: "twin",
      size: 20_000,
      digest: `sha256:${hexOf(0)}`,
      offset: 600_000,
      endOffset: 610_000,
    };
    const holey = [
      {
        type: "reg",
        name: "holey",
        size: 300,
        digest: `sha256:${hexOf(99)}`,
        offset: 700_000,
        endOffset: 800_000,
        chunkSize: 100,
        chunkDigest: `sha256:${hexOf(91)}`,
      },
      {
        type: "chunk",
        name: "holey",
        offset: 710_000,
        chunkOffset: 100,
        chunkSize: 100,
        chunkType: "zeros",
        chunkDigest: `sha256:${hexOf(92)}`,
      },
      {
        type: "chunk",
        name: "holey",
        offset: 720_000,
        chunkOffset: 200,
        chunkSize: 100,
        chunkDigest: `sha256:${hexOf(93)}`,
      },
    ];
    const result = plan(makeToc(1, [twin, ...holey]));
    expect(result.pieces.map(({ start, end }) => [start, end])).toEqual([
      [1000, 11_000],
      [700_000, 710_000],
      [720_000, 800_000],
    ]);
    const withChunks = plan(makeToc(1, holey), { hasChunk: (digest) => digest === hexOf(93) });
    expect(withChunks.pieces.map(({ start }) => start)).toEqual([1000, 700_000]);
  });

  test("fetches the frames of headers without a tar-split", () => {
    const toc = makeToc(2);
    expect(findHeaderRanges(toc, DATA_END)).toEqual([
      { start: 0, end: 1000 },
      { start: 11_000, end: 51_000 },
      { start: 61_000, end: DATA_END },
    ]);
    const result = plan(toc, { needsHeaders: true, hasFile: () => true, dataEnd: 61_100 });
    expect(result.pieces.map(({ kind, start, end }) => [kind, start, end])).toEqual(
      [
        ["headers", 0, 1000],
        ["headers", 11_000, 51_000],
      ].concat([["headers", 61_000, 61_100]]),
    );
  });

  test("keeps the header of a request short", () => {
    const result = plan(makeToc(1000), { maxHeaderBytes: 500 });
    expect(result.requests.length).toBeGreaterThan(30);
    expect(Math.max(...result.requests.map(({ header }) => header.length))).toBeLessThanOrEqual(500);
    expect(result.requests.flatMap(({ ranges }) => ranges)).toHaveLength(1000);
    const single = plan(makeToc(20), { maxRanges: 1 });
    expect(single.requests.map(({ ranges }) => ranges.length)).toEqual(new Array(20).fill(1));
  });

  test("is a full download when ranges cost about as much", () => {
    const result = plan(makeToc(100), { blobBytes: 1_200_000 });
    expect(result.choice).toBe("whole");
    expect(result.reason).toBe("100 ranges in 1 request would cost 90 % of it, more than 80 %");
    expect(plan(makeToc(100), { blobBytes: 1_200_000, maxShare: 1 }).choice).toBe("partial");
    expect(plan(makeToc(1), { blobBytes: 1_000_000, spentBytes: 900_000 }).choice).toBe("whole");
  });
});

test("ranges less than a gap apart become one", () => {
  const ranges = [
    { start: 0, end: 10 },
    { start: 10, end: 20 },
    { start: 25, end: 30 },
    { start: 26, end: 28 },
    { start: 41, end: 50 },
  ];
  expect(mergeRanges(ranges, 10)).toEqual([
    { start: 0, end: 30 },
    { start: 41, end: 50 },
  ]);
  expect(mergeRanges(ranges, 0)).toHaveLength(3);
  expect(mergeRanges([], 10)).toEqual([]);
});
