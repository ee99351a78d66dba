/**
 * Every golden dump gives the image that mkcomposefs makes of it, for all three ways of choosing the format version.
 * The digests are in test/golden/composefs/digests.tsv, where the README says how they were made.
 */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type FormatVersion, writeErofsImage } from "../../../agent/composefs/erofs-image.ts";
import { computeFsVerityDigest } from "../../../agent/composefs/fsverity.ts";
import { parseDump } from "../../../scripts/composefs-dump/dump-parser.ts";
import { writeDump } from "../../../scripts/composefs-dump/dump-writer.ts";

const folder = new URL("../../golden/composefs/", import.meta.url);
const rows = readFileSync(new URL("digests.tsv", folder), "utf8")
  .trim()
  .split("\n")
  .slice(1)
  .map((line) => line.split("\t"));

const VERSION_BY_ARGUMENTS: Record<string, FormatVersion> = {
  default: "auto",
  "--min-version=0 --max-version=0": 0,
  "--min-version=1 --max-version=1": 1,
};

describe("golden images", () => {
  test.each(rows)("%s (%s, %s)", (name, _writer, versionArguments, header, verity, sha256, size) => {
    const dump = readFileSync(new URL(`${name}.dump`, folder));
    const image = writeErofsImage(parseDump(dump), {
      formatVersion: VERSION_BY_ARGUMENTS[versionArguments!]!,
    });
    expect(image.length).toBe(Number(size));
    expect(image.readUInt32LE(12)).toBe(Number(header));
    expect(createHash("sha256").update(image).digest("hex")).toBe(sha256);
    expect(computeFsVerityDigest(image).toString("hex")).toBe(verity);
  });

  test.each(rows.filter((row) => row[2] === "default"))("%s survives a round trip through a dump", (name) => {
    const tree = parseDump(readFileSync(new URL(`${name}.dump`, folder)));
    const again = parseDump(Buffer.from([...writeDump(tree)].join(""), "latin1"));
    expect(writeErofsImage(again).equals(writeErofsImage(tree))).toBe(true);
  });
});
