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

describe("reads complete ranges from a server that", () => {
  it.each<[string, RangeManners, (counts: number[]) => void]>([
    ["answers with multipart", {}, (counts) => expect(counts).toEqual([40])],
    ["reverses the order of parts", { order: "reversed" }, (counts) => expect(counts).toEqual([40])],
    ["merges ranges into one part", { mergesGaps: 6_000 }, (counts) => expect(counts).toEqual([40])],
    [
      "omits the quotes of the boundary",
      { contentType: (boundary) => `multipart/byteranges; boundary=${boundary}` },
      (counts) => expect(counts).toEqual([40]),
    ],
    // Gaps of 5 KB cost less than a request each: one goes for all.
    [
      "sends the whole file for several ranges",
      { maxRanges: 1, refusal: "whole" },
      (counts) => expect(counts).toEqual([40, 1]),
    ],
    [
      "answers 416 to several ranges",
      { maxRanges: 1, refusal: 416 },
      (counts) => expect(counts.slice(0, 2)).toEqual([40, 1]),
    ],
    [
      "answers 501 to several ranges",
      { maxRanges: 1, refusal: 501 },
      (counts) => expect(counts.slice(0, 2)).toEqual([40, 1]),
    ],
    [
      "answers 400 to more than ten ranges",
      { maxRanges: 10, refusal: 400 },
      (counts) => expect(counts).toEqual([40, 20, 20, 10, 10, 10, 10]),
    ],
    [
      "answers only the first range",
      { answersFirstOnly: true },
      (counts) => expect(counts.length).toBeGreaterThan(2),
    ],
    ["omits parts", { omitsAfter: 7 }, (counts) => expect(counts[1]).toBe(33)],
    [
      "closes the connection inside a part",
      { cutAt: 10_000 },
      (counts) => expect(counts.length).toBeGreaterThan(1),
    ],
    ["closes the connection before the first part", { cutAt: 10 }, (counts) => expect(counts.at(-1)).toBe(1)],
    [
      "sends no boundary",
      { contentType: () => "multipart/byteranges" },
      (counts) => expect(counts.slice(0, 2)).toEqual([40, 1]),
    ],
    [
      "sends a boundary that does not occur",
      { contentType: () => "multipart/byteranges; boundary=x" },
      (counts) => expect(counts.slice(0, 2)).toEqual([40, 1]),
    ],
  ])("%s", async (_name, manners, check) => {
    check(await readAll(manners));
  });

  it("closes connections early", async () => {
    server = await startServer([reset, serveRanges(content, { cutAt: 9_000 }), reset, serveRanges(content)]);
    await collect(server.origin);
  });
});

it("fails with its own error if a server does not support ranges", async () => {
  await expect(readAll({ ignoresRanges: true })).rejects.toMatchObject({ code: "FETCH_NO_RANGES" });
});

it("stops when it is aborted", async () => {
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

  it("is returned with the size of the file", async () => {
    expect(await tailOf(content)).toEqual({ bytes: content.subarray(-72), totalBytes: content.length });
  });
  it("is the complete file if the file is shorter", async () => {
    expect(await tailOf(content.subarray(0, 50))).toEqual({ bytes: content.subarray(0, 50), totalBytes: 50 });
  });
  it("is not read from a server that does not support ranges", async () => {
    expect(await tailOf(content, { ignoresRanges: true })).toBeUndefined();
  });
});
