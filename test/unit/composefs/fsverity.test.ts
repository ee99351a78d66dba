/**
 * The fs-verity digest of the golden contents.
 * test/golden/composefs/fsverity.tsv was cross-checked with the fsverity tool.
 */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { computeFsVerityDigest } from "../../../agent/composefs/fsverity.ts";

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

describe("fs-verity digest", () => {
  test.each(rows)("of $size bytes ($content)", ({ content: kind, size, sha256, verity }) => {
    const content = makeContent(kind, size);
    expect(createHash("sha256").update(content).digest("hex")).toBe(sha256);
    expect(computeFsVerityDigest(content).toString("hex")).toBe(verity);
  });

  test("distinguishes contents that differ only in zeros at the end", () => {
    const digests = [4094, 4095, 4096, 4097, 8192].map((size) =>
      computeFsVerityDigest(Buffer.alloc(size)).toString("hex"),
    );
    expect(new Set(digests).size).toBe(digests.length);
  });
});
