/**
 * Where a blob's tables are, as annotations of both prefixes and footers of both sizes say.
 * Real annotations and a real footer stand beside broken ones.
 */

import { describe, expect, test } from "vitest";
import {
  FOOTER_TAIL_BYTES,
  parseChunkedAnnotations,
  parseFooter,
} from "../../../agent/archive/zstd-chunked/positions.ts";
import { formatChunkedAnnotations, formatFooter } from "../../../scripts/pack/positions-writer.ts";

const NEW = "io.github.containers.zstd-chunked.";
const OLD = "io.containers.zstd-chunked.";
const DIGEST = `sha256:${"68dc4ffd27edb263e9df34f9f4dac1feff12163b46a7997a078e929d4c11ba6a"}`;
const TOC = { offset: 7_282_911, sizeBytes: 27_219, plainBytes: 112_958 };
const TAR_SPLIT = { offset: 7_310_138, sizeBytes: 16_658, plainBytes: 564_692 };
const GOOD = {
  [`${NEW}manifest-checksum`]: DIGEST,
  [`${NEW}manifest-position`]: "7282911:27219:112958:1",
  [`${NEW}tarsplit-position`]: "7310138:16658:564692",
};

describe("annotations", () => {
  test("in skopeo 1.18's format are read and written", () => {
    const positions = { toc: TOC, tocDigest: DIGEST, tarSplit: TAR_SPLIT };
    expect(parseChunkedAnnotations(GOOD)).toEqual(positions);
    expect(formatChunkedAnnotations(positions)).toEqual(GOOD);
  });

  test("in the format of Debian 12's tools are read", () => {
    const old = {
      [`${OLD}manifest-checksum`]: DIGEST,
      [`${OLD}manifest-position`]: "7282911:27219:112958:1",
    };
    expect(parseChunkedAnnotations(old)).toEqual({ toc: TOC, tocDigest: DIGEST, tarSplit: undefined });
  });

  test("of a layer that is not chunked give undefined", () => {
    expect(parseChunkedAnnotations({})).toBeUndefined();
    expect(parseChunkedAnnotations({ "org.opencontainers.image.title": "x" })).toBeUndefined();
  });

  const cases: [string, Record<string, string>, string][] = [
    ["a missing checksum", { [`${NEW}manifest-checksum`]: "" }, "CHUNKED_BAD_ANNOTATION"],
    [
      "a checksum that is a path",
      { [`${NEW}manifest-checksum`]: "sha256:../../x" },
      "CHUNKED_BAD_ANNOTATION",
    ],
    ["three numbers", { [`${NEW}manifest-position`]: "1:2:3" }, "CHUNKED_BAD_ANNOTATION"],
    ["a negative number", { [`${NEW}manifest-position`]: "-9:2:3:1" }, "CHUNKED_BAD_ANNOTATION"],
    ["another type", { [`${NEW}manifest-position`]: "100:2:3:2" }, "CHUNKED_BAD_ANNOTATION"],
    ["a TOC at the start of the blob", { [`${NEW}manifest-position`]: "0:2:3:1" }, "CHUNKED_BAD_ANNOTATION"],
    ["an empty TOC", { [`${NEW}manifest-position`]: "100:0:3:1" }, "CHUNKED_BAD_ANNOTATION"],
    ["a huge TOC", { [`${NEW}manifest-position`]: "100:10:999999999999:1" }, "CHUNKED_TOO_LARGE"],
    ["a bad tar-split", { [`${NEW}tarsplit-position`]: "1:x:3" }, "CHUNKED_BAD_ANNOTATION"],
    [
      "an eStargz annotation",
      { "containerd.io/snapshot/stargz/toc.digest": DIGEST },
      "CHUNKED_BAD_ANNOTATION",
    ],
  ];
  test.each(cases)("with %s are refused", (_, changed, code) => {
    expect(() => parseChunkedAnnotations({ ...GOOD, ...changed })).toThrow(expect.objectContaining({ code }));
  });
});

describe("footers", () => {
  const BLOB_BYTES = 7_326_868;
  const positions = { toc: TOC, tocDigest: undefined, tarSplit: TAR_SPLIT };
  const oldFooter = () => {
    const bytes = formatFooter(positions);
    bytes.writeUInt32LE(40, 4);
    return Buffer.concat([bytes.subarray(0, 40), bytes.subarray(-8)]);
  };

  test("of both sizes are read", () => {
    expect(formatFooter(positions)).toHaveLength(FOOTER_TAIL_BYTES);
    expect(parseFooter(formatFooter(positions), BLOB_BYTES)).toEqual(positions);
    const tail = Buffer.concat([Buffer.alloc(24), oldFooter()]);
    expect(tail).toHaveLength(FOOTER_TAIL_BYTES);
    expect(parseFooter(tail, BLOB_BYTES)).toEqual({ ...positions, tarSplit: undefined });
  });

  test.each([
    ["too short", formatFooter(positions).subarray(10), BLOB_BYTES],
    ["of zeros", Buffer.alloc(FOOTER_TAIL_BYTES), BLOB_BYTES],
    ["with tables beyond the blob", formatFooter(positions), 7_290_000],
    ["of an ordinary zstd file", Buffer.from("ordinary ".repeat(10)), BLOB_BYTES],
    ["empty", Buffer.alloc(0), 0],
  ])("%s are none", (_, tail, blobBytes) => {
    expect(parseFooter(tail, blobBytes)).toBeUndefined();
  });
});
