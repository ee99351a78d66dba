import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { HttpClient } from "../../../agent/net/http/http-message.ts";
import { createRangeReader } from "../../../agent/net/ranges/fetch-ranges.ts";
import { type MisbehavingServer, reset, startServer } from "../../servers/misbehaving-server.ts";
import { type RangeManners, serveRanges } from "../../servers/range-server.ts";
import { createTestClient } from "./store.ts";

const content = Buffer.concat(
  Array.from({ length: 8_000 }, (_, part) => createHash("sha256").update(String(part)).digest()),
);
/** Forty ranges, 5,000 bytes apart. */
const ranges = Array.from({ length: 40 }, (_, index) => ({
  start: index * 6_000,
  end: index * 6_000 + 900 + index,
}));

let http: HttpClient;
let server: MisbehavingServer | undefined;
beforeEach(() => {
  http = createTestClient();
});
afterEach(async () => {
  await http.close();
  await server?.close();
});

async function readAll(manners: RangeManners) {
  server = await startServer(serveRanges(content, manners));
  return collect(server.origin);
}

/** Each byte that was asked for, once; throws for any other. */
async function collect(url: string) {
  const reader = createRangeReader((fields, explainError) =>
    http.fetch(url, { hasDigest: true, explainError, ...fields }),
  );
  const seen = Buffer.alloc(content.length);
  const counts = new Uint8Array(content.length);
  for await (const { offset, bytes } of reader.readRanges(ranges)) {
    bytes.copy(seen, offset);
    for (let at = 0; at < bytes.length; at++) counts[offset + at]!++;
  }
  for (const { start, end } of ranges) {
    expect(counts.subarray(start, end).every((count) => count === 1)).toBe(true);
    expect(seen.subarray(start, end).equals(content.subarray(start, end))).toBe(true);
  }
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(
    ranges.reduce((sum, { start, end }) => sum + end - start, 0),
  );
  return server!.requests.map(({ headers }) => headers.range!.split(",").length);
}

describe("ranges of a file come whole from a server that", () => {
  it.each<[string, RangeManners, (counts: number[]) => void]>([
    ["answers many by parts", {}, (counts) => expect(counts).toEqual([40])],
    ["turns their order round", { order: "reversed" }, (counts) => expect(counts).toEqual([40])],
    ["makes one part of several", { mergesGaps: 6_000 }, (counts) => expect(counts).toEqual([40])],
    [
      "leaves the quotes out",
      { contentType: (boundary) => `multipart/byteranges; boundary=${boundary}` },
      (counts) => expect(counts).toEqual([40]),
    ],
    // Gaps of 5 KB cost less than a request each: one goes for all.
    [
      "sends the whole file for many",
      { maxRanges: 1, refusal: "whole" },
      (counts) => expect(counts).toEqual([40, 1]),
    ],
    [
      "says 416 to many",
      { maxRanges: 1, refusal: 416 },
      (counts) => expect(counts.slice(0, 2)).toEqual([40, 1]),
    ],
    [
      "says 501 to many",
      { maxRanges: 1, refusal: 501 },
      (counts) => expect(counts.slice(0, 2)).toEqual([40, 1]),
    ],
    [
      "says 400 to more than ten",
      { maxRanges: 10, refusal: 400 },
      (counts) => expect(counts).toEqual([40, 20, 20, 10, 10, 10, 10]),
    ],
    [
      "answers the first of many only",
      { answersFirstOnly: true },
      (counts) => expect(counts.length).toBeGreaterThan(2),
    ],
    ["leaves parts out", { omitsAfter: 7 }, (counts) => expect(counts[1]).toBe(33)],
    ["ends in the middle of a part", { cutAt: 10_000 }, (counts) => expect(counts.length).toBeGreaterThan(1)],
    ["ends before the first part", { cutAt: 10 }, (counts) => expect(counts.at(-1)).toBe(1)],
    [
      "names no boundary",
      { contentType: () => "multipart/byteranges" },
      (counts) => expect(counts.slice(0, 2)).toEqual([40, 1]),
    ],
    [
      "names a boundary that does not come",
      { contentType: () => "multipart/byteranges; boundary=x" },
      (counts) => expect(counts.slice(0, 2)).toEqual([40, 1]),
    ],
  ])("%s", async (_name, manners, check) => {
    check(await readAll(manners));
  });

  it("breaks off now and then", async () => {
    server = await startServer([reset, serveRanges(content, { cutAt: 9_000 }), reset, serveRanges(content)]);
    await collect(server.origin);
  });
});

it("says so when a server knows no ranges", async () => {
  await expect(readAll({ ignoresRanges: true })).rejects.toMatchObject({ code: "FETCH_NO_RANGES" });
});

it("stops when it is told to", async () => {
  const stop = new AbortController();
  server = await startServer((_request, response) => {
    response.writeHead(206, { "content-range": `bytes 0-899/${content.length}`, "content-length": "900" });
    response.write("x");
    setTimeout(() => stop.abort(new Error("enough")), 20);
  });
  const reader = createRangeReader((fields, explainError) =>
    http.fetch(server!.origin, { explainError, ...fields }),
  );
  const reading = (async () => {
    for await (const _ of reader.readRanges([{ start: 0, end: 900 }], { signal: stop.signal }));
  })();
  await expect(reading).rejects.toThrow("enough");
});

describe("the tail of a file", () => {
  const tailOf = async (body: Buffer, manners: RangeManners = {}) => {
    server = await startServer(serveRanges(body, manners));
    const reader = createRangeReader((fields, explainError) =>
      http.fetch(server!.origin, { explainError, ...fields }),
    );
    return reader.readTail(72);
  };

  it("comes with the size of the whole", async () => {
    expect(await tailOf(content)).toEqual({ bytes: content.subarray(-72), totalBytes: content.length });
  });
  it("is all of a shorter file", async () => {
    expect(await tailOf(content.subarray(0, 50))).toEqual({ bytes: content.subarray(0, 50), totalBytes: 50 });
  });
  it("is not had from a server that knows no ranges", async () => {
    expect(await tailOf(content, { ignoresRanges: true })).toBeUndefined();
  });
});
