/**
 * The fs-verity digest of the golden contents, in one shot and from chunks whose borders fall anywhere.
 * test/golden/composefs/fsverity.tsv was cross-checked with the fsverity tool.
 */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { computeFsVerityDigest, FsVerityHasher } from "../../../agent/composefs/fsverity.ts";

const rows = readFileSync(new URL("../../golden/composefs/fsverity.tsv", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .slice(1)
  .map((line) => line.split("\t"))
  .map(([content, size, sha256, verity]) => ({
    content: content!,
    size: Number(size),
    sha256: sha256!,
    verity: verity!,
  }));

const CHUNK_SIZES = [1, 7, 4095, 4096, 4097, 65_536, 1_000_003];

function makeContent(kind: string, size: number): Buffer {
  const content = Buffer.alloc(size);
  if (kind === "zero") return content;
  for (let offset = 0; offset < size; offset += 32) {
    createHash("sha256")
      .update(`fsverity:${offset / 32}`)
      .digest()
      .copy(content, offset);
  }
  return content;
}

function* splitContent(content: Buffer, chunkSize: number): Generator<Buffer> {
  for (let offset = 0; offset < content.length; offset += chunkSize)
    yield content.subarray(offset, offset + chunkSize);
}

describe("fs-verity digest", () => {
  test.each(rows)("of $size bytes ($content)", ({ content: kind, size, sha256, verity }) => {
    const content = makeContent(kind, size);
    expect(createHash("sha256").update(content).digest("hex")).toBe(sha256);
    expect(computeFsVerityDigest(content).toString("hex")).toBe(verity);
    for (const chunkSize of CHUNK_SIZES) {
      if (size / chunkSize > 100_000) continue;
      const hasher = new FsVerityHasher();
      for (const chunk of splitContent(content, chunkSize)) hasher.update(chunk);
      expect(hasher.sizeBytes).toBe(size);
      expect(hasher.digest().toString("hex"), `in chunks of ${chunkSize}`).toBe(verity);
    }
  });

  test("tells apart contents that differ in zeros at the end alone", () => {
    const digests = [4094, 4095, 4096, 4097, 8192].map((size) =>
      computeFsVerityDigest(Buffer.alloc(size)).toString("hex"),
    );
    expect(new Set(digests).size).toBe(digests.length);
  });

  test("takes empty chunks", () => {
    const hasher = new FsVerityHasher()
      .update(Buffer.alloc(0))
      .update(Buffer.from("a"))
      .update(Buffer.alloc(0));
    expect(hasher.digest()).toEqual(computeFsVerityDigest(Buffer.from("a")));
  });
});
