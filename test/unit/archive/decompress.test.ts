import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { compress } from "zstd-napi";
import { checkRatio, decompress, decompressZstd } from "../../../agent/archive/decompress.ts";

const text = Buffer.from("The quick brown fox jumps over the lazy dog. ".repeat(5000));
const skippable = Buffer.concat([Buffer.from("552a4d1805000000", "hex"), Buffer.from("abcde")]);

/** Pieces in one reused buffer, as in the worker's inbox. */
async function* inPieces(bytes: Buffer, pieceBytes: number): AsyncGenerator<Buffer> {
  const piece = Buffer.alloc(pieceBytes);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    piece.fill(0xee);
    const length = bytes.copy(piece, 0, at);
    yield piece.subarray(0, length);
  }
}

async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const copies: Buffer[] = [];
  for await (const chunk of chunks) copies.push(Buffer.from(chunk));
  return Buffer.concat(copies);
}

const zstdFrame = compress(text);
const random = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919 * (i >> 3)) & 0xff));

const good = {
  "gzip, one member": ["gzip", gzipSync(text), text],
  "gzip, three members": [
    "gzip",
    Buffer.concat([gzipSync(text), gzipSync("-"), gzipSync(text)]),
    Buffer.concat([text, Buffer.from("-"), text]),
  ],
  "gzip with zeros after it, as tapes pad it": [
    "gzip",
    Buffer.concat([gzipSync(text), Buffer.alloc(9000)]),
    text,
  ],
  "gzip of nothing": ["gzip", gzipSync(""), Buffer.alloc(0)],
  "zstd, one frame": ["zstd", zstdFrame, text],
  "zstd, frames and skippable frames": [
    "zstd",
    Buffer.concat([skippable, zstdFrame, skippable, zstdFrame, skippable]),
    Buffer.concat([text, text]),
  ],
  "zstd, only skippable frames": ["zstd", Buffer.concat([skippable, skippable]), Buffer.alloc(0)],
  "zstd of incompressible data": ["zstd", compress(random), random],
  "zstd of three megabytes of zeros": ["zstd", compress(Buffer.alloc(3 << 20)), Buffer.alloc(3 << 20)],
  "no compression": ["none", text, text],
} as const;

describe.each(Object.entries(good))("%s", (_name, [kind, bytes, expected]) => {
  it.each([1 << 20, 65_536, 4099, 7])("in pieces of %d bytes", async (pieceBytes) => {
    const got = await collect(decompress(kind, inPieces(bytes, pieceBytes)));
    expect(got.equals(expected)).toBe(true);
  });
});

const damaged = Buffer.from(compress(text, { checksumFlag: true }));
damaged[damaged.length >> 1]! ^= 0xff;
const garbage = Buffer.from("garbage that is no frame");

const bad = {
  "gzip, truncated": ["gzip", gzipSync(text).subarray(0, -12), "ARCHIVE_TRUNCATED"],
  "gzip, truncated in its header": ["gzip", gzipSync(text).subarray(0, 5), "ARCHIVE_TRUNCATED"],
  "gzip, zeros and garbage after it": [
    "gzip",
    Buffer.concat([gzipSync(text), Buffer.alloc(9000), garbage, Buffer.alloc(10)]),
    "ARCHIVE_CORRUPT",
  ],
  "gzip, garbage after it": ["gzip", Buffer.concat([gzipSync(text), garbage]), "ARCHIVE_CORRUPT"],
  "gzip, second member truncated": [
    "gzip",
    Buffer.concat([gzipSync(text), gzipSync(text).subarray(0, -1)]),
    "ARCHIVE_TRUNCATED",
  ],
  "gzip, wrong checksum": [
    "gzip",
    Buffer.concat([gzipSync(text).subarray(0, -8), Buffer.alloc(8)]),
    "ARCHIVE_CORRUPT",
  ],
  "zstd, truncated": ["zstd", zstdFrame.subarray(0, -1), "ARCHIVE_TRUNCATED"],
  "zstd, second frame truncated in its magic": [
    "zstd",
    Buffer.concat([zstdFrame, zstdFrame.subarray(0, 2)]),
    "ARCHIVE_TRUNCATED",
  ],
  "zstd, skippable frame truncated": [
    "zstd",
    Buffer.concat([zstdFrame, skippable.subarray(0, -1)]),
    "ARCHIVE_TRUNCATED",
  ],
  "zstd, garbage after it": ["zstd", Buffer.concat([zstdFrame, garbage]), "ARCHIVE_CORRUPT"],
  "zstd, a block damaged": ["zstd", damaged, "ARCHIVE_CORRUPT"],
} as const;

describe.each(Object.entries(bad))("%s", (_name, [kind, bytes, code]) => {
  it.each([1 << 20, 7])(`is ${code} in pieces of %d bytes`, async (pieceBytes) => {
    await expect(collect(decompress(kind, inPieces(bytes, pieceBytes)))).rejects.toMatchObject({ code });
  });
});

it("refuses a zstd window that needs too much memory", async () => {
  const bytes = compress(Buffer.alloc(1 << 20), { windowLog: 20, contentSizeFlag: false });
  const chunks = decompressZstd(inPieces(bytes, 4096), { windowLogMax: 19 });
  await expect(collect(chunks)).rejects.toMatchObject({ code: "ARCHIVE_CORRUPT" });
  expect(await collect(decompressZstd(inPieces(bytes, 4096), { windowLogMax: 20 }))).toHaveLength(1 << 20);
});

it.each(["gzip", "zstd"] as const)("passes an error of the source on (%s)", async (kind) => {
  async function* breaking() {
    yield (kind === "gzip" ? gzipSync(text) : zstdFrame).subarray(0, 100);
    throw new Error("the link went down");
  }
  await expect(collect(decompress(kind, breaking()))).rejects.toThrow("the link went down");
});

it.each([
  ["a ratio below the limit", 100, 50_000, true],
  ["a high ratio of little", 1, 900, true],
  ["a high ratio of much", 10, 50_000, false],
])("%s", (_name, bytesIn, bytesOut, isFine) => {
  const check = () => checkRatio(bytesIn, bytesOut, { maxRatio: 1000, freeBytes: 1000 });
  if (isFine) expect(check).not.toThrow();
  else expect(check).toThrow(expect.objectContaining({ code: "ARCHIVE_LIMIT_EXCEEDED" }));
});
