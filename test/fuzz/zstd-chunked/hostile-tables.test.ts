/**
 * Tables, footers, tar-splits, frames, tars and multipart bodies of any bytes are read or refused with a code of ours.
 * Inputs are good ones changed at random; the seed is printed with a failure.
 */

import { beforeAll, describe, expect, test } from "vitest";
import { decompress } from "zstd-napi";
import { FrameDecoder } from "../../../agent/archive/zstd-chunked/frame-decoder.ts";
import { LayerRebuilder, planFromTarSplit } from "../../../agent/archive/zstd-chunked/layer-rebuilder.ts";
import { planPull } from "../../../agent/archive/zstd-chunked/plan-ranges.ts";
import { FOOTER_TAIL_BYTES, parseFooter } from "../../../agent/archive/zstd-chunked/positions.ts";
import { readTarSplit } from "../../../agent/archive/zstd-chunked/tar-split.ts";
import { AgentError } from "../../../agent/errors.ts";
import { MultipartParser } from "../../../agent/net/ranges/multipart-byteranges.ts";
import { packArchive } from "../../../scripts/pack/archive-packer.ts";
import { createRandom, type Random } from "../../unit/composefs/random-tree.ts";
import { walkFrames } from "../../unit/zstd-chunked/frame-walker.ts";
import { makeTar } from "../../unit/zstd-chunked/make-tar.ts";
import { createTarHash, parseToc } from "../../unit/zstd-chunked/readers.ts";

const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 400);
const TAR = makeTar([
  { name: "d/", typeFlag: "5" },
  { name: "d/a", content: "content of a" },
  { name: "pax", content: "x", pax: { path: "päx", mtime: "1.5", "SCHILY.xattr.user.a": "b" } },
  { name: "n".repeat(150), content: Buffer.alloc(5000, 1), isGnuLongName: true },
  { name: "holes", content: Buffer.concat([Buffer.from("a"), Buffer.alloc(3000), Buffer.from("b")]) },
  { name: "l", typeFlag: "2", linkName: "d/a" },
]);
const MULTIPART = Buffer.from(
  "\r\n--B\r\nContent-Type: x\r\nContent-Range: bytes 0-4/9\r\n\r\nhello\r\n--B\r\nContent-Range: bytes 7-8/9\r\n\r\nxy\r\n--B--\r\n",
);
let blob: Buffer;
let toc: Buffer;
let tarSplit: Buffer;
let dataEnd: number;

beforeAll(async () => {
  const parts: Buffer[] = [];
  const packing = packArchive([TAR]);
  let step = await packing.next();
  for (; !step.done; step = await packing.next()) parts.push(step.value);
  blob = Buffer.concat(parts);
  const { positions } = step.value;
  const cut = ({ offset, sizeBytes }: { offset: number; sizeBytes: number }) =>
    decompress(blob.subarray(offset, offset + sizeBytes));
  toc = cut(positions.toc);
  tarSplit = cut(positions.tarSplit!);
  dataEnd = positions.toc.offset - 8;
});

function mutate(bytes: Buffer, random: Random): Buffer {
  let changed = Buffer.from(bytes);
  for (let left = 1 + random(4); left > 0; left--) {
    const at = random(changed.length + 1);
    const kind = random(4);
    if (kind === 0 && changed.length > 0) changed[Math.min(at, changed.length - 1)] = random(256);
    else if (kind === 1)
      changed = Buffer.concat([changed.subarray(0, at), changed.subarray(at + random(30))]);
    else if (kind === 2) changed = Buffer.concat([changed.subarray(0, at), changed.subarray(random(at + 1))]);
    else if (changed.length > 0) changed[Math.min(at, changed.length - 1)]! ^= 1 << random(8);
  }
  return changed;
}

async function fuzz(
  input: () => Buffer,
  codes: RegExp,
  read: (bytes: Buffer, random: Random) => unknown,
): Promise<void> {
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const random = createRandom(seed);
    try {
      await read(mutate(input(), random), random);
    } catch (error) {
      if (!(error instanceof AgentError)) throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      expect(error.code, `seed ${seed}`).toMatch(codes);
    }
  }
}

describe("broken at random", () => {
  test("tables of contents", () =>
    fuzz(
      () => toc,
      /^CHUNKED_(BAD_TOC|TOO_LARGE)$/,
      (bytes) => {
        const table = parseToc(bytes, { dataEnd });
        planPull(table, { blobBytes: blob.length, dataEnd, hasFile: () => false, needsHeaders: true });
      },
    ));

  test("tar-splits, up to the DiffID", () =>
    fuzz(
      () => tarSplit,
      /^(CHUNKED_|ARCHIVE_)/,
      async (bytes) => {
        const table = parseToc(toc, { dataEnd });
        const rebuilder = new LayerRebuilder(() => {}, createTarHash());
        for await (const step of planFromTarSplit(table, readTarSplit([bytes]))) {
          if (step.kind === "literal") rebuilder.addLiteral(step.bytes);
          if (step.kind !== "content") continue;
          rebuilder.startContent(step.file);
          rebuilder.addContent(Buffer.alloc(step.file.sizeBytes));
          rebuilder.endContent();
        }
        rebuilder.finish();
      },
    ));

  test("tars", () =>
    fuzz(
      () => TAR,
      /^ARCHIVE_/,
      async (bytes) => {
        const packing = packArchive([bytes]);
        while (!(await packing.next()).done);
      },
    ));

  test("frames", () =>
    fuzz(
      () => blob,
      /^CHUNKED_BAD_FRAME$/,
      (bytes) => {
        const decoder = new FrameDecoder();
        for (const { offset, sizeBytes } of walkFrames(bytes)) {
          for (const _piece of decoder.decodeAll(bytes.subarray(offset, offset + sizeBytes)));
        }
      },
    ));

  test("footers", () =>
    fuzz(
      () => blob.subarray(-FOOTER_TAIL_BYTES),
      /^CHUNKED_/,
      (bytes) => {
        const positions = parseFooter(bytes, blob.length);
        if (positions !== undefined)
          expect(positions.toc.offset + positions.toc.sizeBytes).toBeLessThanOrEqual(blob.length);
      },
    ));

  test("multipart bodies", () =>
    fuzz(
      () => MULTIPART,
      /^MULTIPART_INVALID$/,
      (bytes, random) => {
        const parser = new MultipartParser("B");
        for (let at = 0; at < bytes.length; ) {
          const size = 1 + random(40);
          for (const { part, offset, bytes: data } of parser.push(bytes.subarray(at, at + size))) {
            expect(offset).toBeGreaterThanOrEqual(part.start);
            expect(offset + data.length).toBeLessThanOrEqual(part.end);
          }
          at += size;
        }
        parser.finish();
      },
    ));
});
