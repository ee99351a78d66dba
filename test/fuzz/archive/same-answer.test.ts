/**
 * Headers changed at random: whoever reads the archive, whole, in pieces, packed and rebuilt by its tar-split or by its header
 * frames, gets the same members and contents, or the same error.
 */
import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { decompress } from "zstd-napi";
import type { TarMember } from "../../../agent/archive/tar-entry.ts";
import { TarReader } from "../../../agent/archive/tar-reader.ts";
import { FrameDecoder } from "../../../agent/archive/zstd-chunked/frame-decoder.ts";
import {
  LayerRebuilder,
  planFromHeaderFrames,
  planFromTarSplit,
} from "../../../agent/archive/zstd-chunked/layer-rebuilder.ts";
import { readTarSplit } from "../../../agent/archive/zstd-chunked/tar-split.ts";
import type { TocFile } from "../../../agent/archive/zstd-chunked/toc-entry.ts";
import { AgentError } from "../../../agent/errors.ts";
import { type PackedArchive, packArchive } from "../../../scripts/pack/archive-packer.ts";
import { buildMember, buildPax, buildRawHeader, encodeBase256 } from "../../unit/archive/tar-builder.ts";
import { createRandom, type Random } from "../../unit/composefs/random-tree.ts";
import { createTarHash, parseToc } from "../../unit/zstd-chunked/readers.ts";

const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 300);

const map = Buffer.from("2\n512\n512\n2000\n9\n".padEnd(512, "\0"));
const field = (value: number) => Buffer.from(`${value.toString(8).padStart(11, "0")}\0`);
/** Whole parts of archives: each may be repeated, left out and changed. */
const PARTS = [
  buildMember({ path: "d/", type: "directory" }),
  buildMember({ path: "d/", content: "x".repeat(700) }),
  buildMember({ path: "a", content: "a".repeat(600), magic: "gnu" }),
  buildMember({ path: "old", content: "o", magic: "none" }),
  buildMember({ path: "b", content: "b", pax: [["path", "long"]] }),
  buildMember({ path: "s", type: "symlink", linkPath: "a" }),
  buildMember({ path: "h", type: "hardlink", linkPath: "a", size: 512 }),
  buildMember({ path: "c", type: "char", device: [1, 3] }),
  buildMember({ path: "n", content: "n", uid: encodeBase256(-2n, 8), mtime: encodeBase256(-5n) }),
  buildMember({ path: "dump/", typeflag: "D", content: "Ya\0\0", magic: "gnu" }),
  buildMember({ path: "label", typeflag: "V", magic: "gnu" }),
  buildRawHeader("././@LongLink", "L", Buffer.from("gnu-name\0")),
  buildRawHeader("././@LongLink", "K", Buffer.from("gnu-link\0")),
  buildPax([["comment", "global"]], "g"),
  buildPax([["uid", "7"]]),
  buildMember({
    path: "sparse",
    content: Buffer.concat([map, Buffer.alloc(521, "s")]),
    pax: [
      ["GNU.sparse.major", "1"],
      ["GNU.sparse.minor", "0"],
      ["GNU.sparse.realsize", "3000"],
    ],
  }),
  buildMember({
    path: "old-sparse",
    typeflag: "S",
    magic: "gnu",
    content: "S".repeat(100),
    raw: [
      [386, Buffer.concat([field(1000), field(100)])],
      [483, field(5000)],
    ],
  }),
  Buffer.alloc(512),
];

function makeArchive(random: Random): Buffer {
  const parts = Array.from({ length: 1 + random(8) }, () => PARTS[random(PARTS.length)]!);
  const archive = Buffer.concat([...parts, Buffer.alloc(512 * random(3))]);
  for (let changes = random(4); changes > 0; changes--) {
    const block = 512 * random(archive.length / 512);
    // Mostly type, sizes, magic and numbers; the value often one that means something.
    const at =
      block +
      [156, 124 + random(12), 257 + random(8), 100 + random(400), random(512), 482 + random(20)][random(6)]!;
    const values = [
      0,
      0x20,
      0x30 + random(10),
      0x80,
      0xff,
      "/".charCodeAt(0),
      "xgLKSVDM\n"[random(9)]!.charCodeAt(0),
      random(256),
    ];
    archive[at] = values[random(values.length)]!;
    const isHeader = random(8) > 0 && archive.toString("latin1", block + 148, block + 154).match(/^[0-7]+$/);
    if (!isHeader) continue;
    archive.fill(" ", block + 148, block + 156);
    const sum = archive.subarray(block, block + 512).reduce((total, byte) => total + byte, 0);
    archive.write(`${sum.toString(8).padStart(6, "0")}\0 `, block + 148, "latin1");
  }
  return random(4) > 0 ? archive : archive.subarray(0, archive.length - random(1200));
}

const describeMember = ({ xattrs, regions: _, ...facts }: TarMember, content: Buffer) =>
  JSON.stringify([facts, [...xattrs], createHash("sha256").update(content).digest("hex")]);

/** The members, or the code of the error. */
async function answer(read: () => Promise<string[]>): Promise<string[] | string> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof AgentError) return error.code;
    throw error;
  }
}

async function readInPieces(tar: Buffer, pieceBytes: number): Promise<string[]> {
  const members: string[] = [];
  let member: TarMember | undefined;
  let content: Buffer[] = [];
  const reader = new TarReader(
    {
      onEntry: (entry) => {
        member = entry;
        content = [];
      },
      onContent: (chunk) => content.push(Buffer.from(chunk)),
      onHole: (sizeBytes) => content.push(Buffer.alloc(sizeBytes)),
      onEntryEnd: () => members.push(describeMember(member!, Buffer.concat(content))),
    },
    { checkHoles },
  );
  for (let at = 0; at < tar.length; at += pieceBytes) reader.write(tar.subarray(at, at + pieceBytes));
  reader.end();
  return members;
}

/** A changed size may be terabytes. */
function checkHoles(holeBytes: number): void {
  if (holeBytes > 1 << 20) throw new AgentError("ARCHIVE_LIMIT_EXCEEDED", "The test has no memory for it");
}

async function pack(tar: Buffer): Promise<{ blob: Buffer; packed: PackedArchive }> {
  const parts: Buffer[] = [];
  const packing = packArchive([tar]);
  for (;;) {
    const step = await packing.next();
    if (step.done) return { blob: Buffer.concat(parts), packed: step.value };
    parts.push(step.value);
  }
}

async function rebuild(tar: Buffer, byTarSplit: boolean): Promise<string[]> {
  const { blob, packed } = await pack(tar);
  const cut = ({ offset, sizeBytes }: { offset: number; sizeBytes: number }) =>
    blob.subarray(offset, offset + sizeBytes);
  const { toc: tocPosition, tarSplit } = packed.positions;
  const toc = parseToc(decompress(cut(tocPosition)), { dataEnd: tocPosition.offset - 8 });
  const steps = byTarSplit
    ? planFromTarSplit(toc, readTarSplit([decompress(cut(tarSplit!))]))
    : planFromHeaderFrames(toc, tocPosition.offset - 8);
  const members: string[] = [];
  const contentOf = (file: TocFile) =>
    Buffer.concat(
      file.chunks.map(({ offset, endOffset, sizeBytes, isZeros }) =>
        isZeros ? Buffer.alloc(sizeBytes) : decompress(blob.subarray(offset, endOffset)),
      ),
    );
  const rebuilder = new LayerRebuilder(
    ({ entry, file }) => members.push(describeMember(entry, file ? contentOf(file) : Buffer.alloc(0))),
    createTarHash(),
  );
  const decoder = new FrameDecoder();
  for (const step of steps) {
    if (step.kind === "literal") rebuilder.addLiteral(step.bytes);
    else if (step.kind === "headers") {
      for (const bytes of decoder.decodeAll(blob.subarray(step.range.start, step.range.end)))
        rebuilder.addLiteral(bytes);
    } else {
      rebuilder.startContent(step.file);
      rebuilder.addContent(contentOf(step.file));
      rebuilder.endContent();
    }
  }
  expect(rebuilder.finish()).toEqual({ diffId: packed.diffId, tarBytes: tar.length });
  return members;
}

it(`${ROUNDS} archives have one answer each`, async () => {
  let read = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const tar = makeArchive(createRandom(round));
    const whole = await answer(() => readInPieces(tar, tar.length || 1));
    const what = `round ${round}`;
    expect(await answer(() => readInPieces(tar, 7)), `${what}, in pieces`).toEqual(whole);
    if (whole === "ARCHIVE_LIMIT_EXCEEDED") continue;
    if (Array.isArray(whole)) read++;
    expect(await answer(() => rebuild(tar, true)), `${what}, by its tar-split`).toEqual(whole);
    expect(await answer(() => rebuild(tar, false)), `${what}, by its header frames`).toEqual(whole);
  }
  expect(read).toBeGreaterThan(ROUNDS / 4);
});
