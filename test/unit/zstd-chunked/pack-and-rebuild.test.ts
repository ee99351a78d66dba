/**
 * A packed archive is the tar again for anyone with a zstd decoder, and can be put together again from its parts.
 * Both ways to the DiffID are walked: by the tar-split, and by the frames between the contents.
 */

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { decompress as decompressFrames } from "zstd-napi";
import { decompressZstd } from "../../../agent/archive/decompress.ts";
import type { TarEntry } from "../../../agent/archive/tar-entry.ts";
import { TarReader } from "../../../agent/archive/tar-reader.ts";
import {
  LayerRebuilder,
  planFromHeaderFrames,
  planFromTarSplit,
  type RebuildStep,
  type RebuiltEntry,
} from "../../../agent/archive/zstd-chunked/layer-rebuilder.ts";
import {
  FOOTER_TAIL_BYTES,
  parseChunkedAnnotations,
  parseFooter,
} from "../../../agent/archive/zstd-chunked/positions.ts";
import { readTarSplit } from "../../../agent/archive/zstd-chunked/tar-split.ts";
import type { Toc } from "../../../agent/archive/zstd-chunked/toc.ts";
import type { TocFile } from "../../../agent/archive/zstd-chunked/toc-entry.ts";
import { type PackedArchive, packArchive } from "../../../scripts/pack/archive-packer.ts";
import { walkFrames } from "./frame-walker.ts";
import { makeTar, type TarPart } from "./make-tar.ts";
import { createTarHash, parseToc } from "./readers.ts";

const noise = (bytes: number, seed: string) => {
  const content = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 32)
    createHash("sha256").update(`${seed}:${at}`).digest().copy(content, at);
  return content;
};
const zeros = (bytes: number) => Buffer.alloc(bytes);

const PARTS: TarPart[] = [
  { name: "./", typeFlag: "5", mode: 0o755, mtime: 1_700_000_000 },
  { name: "./etc/", typeFlag: "5", mode: 0o755 },
  { name: "./etc/empty" },
  { name: "./etc/hello", content: "hello\n", uid: 1000, gid: 1000, mtime: 1_600_000_000 },
  { name: "./etc/also-hello", content: "hello\n" },
  { name: "./etc/link", typeFlag: "2", linkName: "hello" },
  { name: "./etc/hard", typeFlag: "1", linkName: "./etc/hello" },
  { name: "./dev/null", typeFlag: "3", devMajor: 1, devMinor: 3 },
  { name: "./dev/sda", typeFlag: "4", devMajor: 8, devMinor: 300 },
  { name: "./run/pipe", typeFlag: "6" },
  { name: "./block", content: noise(512, "block") },
  { name: "./large", content: noise(400_000, "large") },
  { name: "./zeros", content: zeros(5_000_000) },
  {
    name: "./holes",
    content: Buffer.concat([
      noise(3000, "a"),
      zeros(100_000),
      noise(10, "b"),
      zeros(1023),
      noise(10, "c"),
      zeros(1024),
    ]),
  },
  { name: `./${"long/".repeat(60)}name`, content: "x", isGnuLongName: true },
  {
    name: "short",
    content: "pax",
    pax: {
      path: "./päx/ünïcode",
      mtime: "1234567890.123456789",
      atime: "1.5",
      uid: "3000000000",
      "SCHILY.xattr.user.bin": Buffer.from([0, 10, 61, 255]),
    },
  },
  { name: "./latin-\xff", content: "not UTF-8" },
  { name: "./etc/.wh.gone" },
];

async function pack(tar: Buffer, chunkBytes = 65_536): Promise<{ blob: Buffer; packed: PackedArchive }> {
  const chunks = function* () {
    for (let at = 0; at < tar.length; at += chunkBytes) yield tar.subarray(at, at + chunkBytes);
  };
  const packing = packArchive(chunks());
  const parts: Buffer[] = [];
  for (;;) {
    const step = await packing.next();
    if (step.done) return { blob: Buffer.concat(parts), packed: step.value };
    parts.push(step.value);
  }
}

function readTables(blob: Buffer, packed: PackedArchive): { toc: Toc; tarSplit: Buffer } {
  const { toc, tarSplit } = packed.positions;
  const tocFrame = blob.subarray(toc.offset, toc.offset + toc.sizeBytes);
  expect(`sha256:${createHash("sha256").update(tocFrame).digest("hex")}`).toBe(packed.positions.tocDigest);
  const plain = decompressFrames(tocFrame);
  expect(plain.length).toBe(toc.plainBytes);
  const parsed = parseToc(plain, { dataEnd: toc.offset - 8 });
  const tarSplitFrame = blob.subarray(tarSplit!.offset, tarSplit!.offset + tarSplit!.sizeBytes);
  expect(createHash("sha256").update(tarSplitFrame).digest("hex")).toBe(parsed.tarSplitDigest);
  return { toc: parsed, tarSplit: decompressFrames(tarSplitFrame) };
}

/** What a puller does for one file: its frames, each checked, zeros made up. */
function readContent(blob: Buffer, file: TocFile): Buffer {
  const parts = file.chunks.map(({ offset, endOffset, sizeBytes, digest, isZeros }) => {
    if (isZeros) return Buffer.alloc(sizeBytes);
    const plain = decompressFrames(blob.subarray(offset, endOffset));
    expect(plain.length).toBe(sizeBytes);
    expect(createHash("sha256").update(plain).digest("hex")).toBe(digest);
    return plain;
  });
  const content = Buffer.concat(parts);
  expect(createHash("sha256").update(content).digest("hex")).toBe(file.digest);
  return content;
}

async function rebuild(blob: Buffer, steps: AsyncIterable<RebuildStep> | Iterable<RebuildStep>) {
  const entries: RebuiltEntry[] = [];
  const rebuilder = new LayerRebuilder((entry) => entries.push(entry), createTarHash());
  for await (const step of steps) {
    if (step.kind === "literal") rebuilder.addLiteral(step.bytes);
    else if (step.kind === "content") {
      rebuilder.startContent(step.file);
      rebuilder.addContent(readContent(blob, step.file));
      rebuilder.endContent();
    } else {
      for await (const bytes of decompressZstd([blob.subarray(step.range.start, step.range.end)])) {
        rebuilder.addLiteral(bytes);
      }
    }
  }
  return { ...rebuilder.finish(), entries };
}

function readWithTarReader(tar: Buffer): TarEntry[] {
  const entries: TarEntry[] = [];
  const reader = new TarReader({
    onEntry: (entry) => entries.push(entry),
    onContent: () => {},
    onHole: () => {},
    onEntryEnd: () => {},
  });
  reader.write(tar);
  reader.end();
  return entries;
}

describe("a sparse file in an archive", () => {
  const map = "3\n1000\n600\n3000\n424\n9000\n0\n".padEnd(512, "\0");
  const content = noise(9000, "sparse").fill(0, 0, 1000).fill(0, 1600, 3000).fill(0, 3424);
  const data = Buffer.concat([content.subarray(1000, 1600), content.subarray(3000, 3424)]);
  const pax = (realsize: string) => ({
    "GNU.sparse.major": "1",
    "GNU.sparse.minor": "0",
    "GNU.sparse.name": "./sparse",
    "GNU.sparse.realsize": realsize,
  });
  const tar = makeTar([
    { name: "./before", content: "before" },
    { name: "./GNUSparseFile.0/sparse", content: Buffer.concat([Buffer.from(map), data]), pax: pax("9000") },
    { name: "./GNUSparseFile.0/hole", content: "0\n".padEnd(512, "\0"), pax: pax("70000") },
    { name: "./after", content: "after" },
  ]);

  test.each(["tar-split", "header frames"])(
    "is packed as a file with holes and rebuilt by its %s",
    async (way) => {
      const { blob, packed } = await pack(tar);
      expect(decompressFrames(blob).equals(tar)).toBe(true);
      const { toc, tarSplit } = readTables(blob, packed);
      const [, sparse, hole] = toc.files;
      expect(readContent(blob, sparse!).equals(content)).toBe(true);
      expect(readContent(blob, hole!).equals(zeros(70_000))).toBe(true);
      const steps =
        way === "tar-split"
          ? planFromTarSplit(toc, readTarSplit([tarSplit]))
          : planFromHeaderFrames(toc, packed.positions.toc.offset - 8);
      const rebuilt = await rebuild(blob, steps);
      expect(rebuilt).toMatchObject({ diffId: packed.diffId, tarBytes: tar.length });
      expect(rebuilt.entries.map(({ entry }) => entry)).toEqual(readWithTarReader(tar));
    },
  );
});

describe("a packed archive", () => {
  const tar = makeTar(PARTS, Buffer.alloc(10_240));
  const diffId = `sha256:${createHash("sha256").update(tar).digest("hex")}`;

  test("decodes to the tar, byte for byte", async () => {
    const { blob, packed } = await pack(tar);
    expect(decompressFrames(blob).equals(tar)).toBe(true);
    expect(packed).toMatchObject({ sizeBytes: blob.length, tarBytes: tar.length, diffId, files: 11 });
    expect(packed.digest).toBe(`sha256:${createHash("sha256").update(blob).digest("hex")}`);
  });

  test("does not depend on the size of the input chunks", async () => {
    const { blob } = await pack(tar);
    for (const chunkBytes of [511, 4097, 10_000_000]) {
      expect((await pack(tar, chunkBytes)).blob.equals(blob), `in chunks of ${chunkBytes}`).toBe(true);
    }
    const small = makeTar(PARTS.filter(({ content }) => (content?.length ?? 0) < 1000));
    const whole = (await pack(small)).blob;
    for (const chunkBytes of [1, 7]) {
      expect((await pack(small, chunkBytes)).blob.equals(whole), `in chunks of ${chunkBytes}`).toBe(true);
    }
  });

  test("has the positions of its TOC and tar-split in footer and annotations", async () => {
    const { blob, packed } = await pack(tar);
    const { tocDigest: _, ...positions } = packed.positions;
    expect(parseFooter(blob.subarray(-FOOTER_TAIL_BYTES), blob.length)).toEqual({
      ...positions,
      tocDigest: undefined,
    });
    expect(parseChunkedAnnotations(packed.annotations)).toEqual(packed.positions);
  });

  test("has each content in separate frames", async () => {
    const { blob, packed } = await pack(tar);
    const { toc } = readTables(blob, packed);
    const starts = new Map([...walkFrames(blob)].map((frame) => [frame.offset, frame]));
    for (const file of toc.files) {
      for (const chunk of file.chunks) {
        const frame = starts.get(chunk.offset)!;
        expect(frame.offset + frame.sizeBytes, file.name).toBe(chunk.endOffset);
        expect(frame.plainBytes).toBe(chunk.sizeBytes);
      }
    }
  });

  test("records holes, and splits large files", async () => {
    const { blob, packed } = await pack(tar);
    const { toc } = readTables(blob, packed);
    const find = (name: string) => [...toc.files].find((file) => file.name === name)!;
    expect(find("./large").chunks.length).toBeGreaterThan(2);
    expect(find("./holes").chunks.map(({ sizeBytes, isZeros }) => [sizeBytes, isZeros])).toEqual([
      [3000, false],
      [100_000, true],
      [1043, false],
      [1024, true],
    ]);
    expect(find("./zeros").chunks.every(({ isZeros }) => isZeros)).toBe(true);
    expect(find("./etc/hello").chunks).toHaveLength(1);
  });

  test.each(["tar-split", "header frames"])(
    "can be rebuilt with the same DiffID and entries from its %s",
    async (way) => {
      const { blob, packed } = await pack(tar);
      const { toc, tarSplit } = readTables(blob, packed);
      const steps =
        way === "tar-split"
          ? planFromTarSplit(toc, readTarSplit([tarSplit]))
          : planFromHeaderFrames(toc, packed.positions.toc.offset - 8);
      const rebuilt = await rebuild(blob, steps);
      expect(rebuilt.diffId).toBe(diffId);
      expect(rebuilt.tarBytes).toBe(tar.length);
      expect(rebuilt.entries.map(({ entry }) => entry)).toEqual(readWithTarReader(tar));
    },
  );

  test("has the fields of the tar's headers in its TOC", async () => {
    const { blob, packed } = await pack(tar);
    const { offset, sizeBytes } = packed.positions.toc;
    const table = JSON.parse(decompressFrames(blob.subarray(offset, offset + sizeBytes)).toString());
    const entries = table.entries.filter(({ type }: { type: string }) => type !== "chunk");
    const expected = readWithTarReader(tar);
    expect(entries).toHaveLength(expected.length);
    for (const [index, entry] of expected.entries()) {
      const path = Buffer.from(entry.path, "latin1").toString("utf8");
      const {
        name,
        linkName = "",
        mode = 0,
        uid = 0,
        gid = 0,
        size = 0,
        modtime,
        devMajor = 0,
        devMinor = 0,
        xattrs = {},
      } = entries[index];
      expect([name, linkName, mode, uid, gid, size, devMajor, devMinor]).toEqual([
        path,
        entry.linkPath,
        entry.mode,
        entry.uid,
        entry.gid,
        entry.sizeBytes,
        entry.devMajor,
        entry.devMinor,
      ]);
      expect(Math.floor(Date.parse(modtime) / 1000)).toBe(entry.mtime.sec);
      const values = Object.entries(xattrs).map(([key, value]) => [
        key,
        Buffer.from(value as string, "base64"),
      ]);
      expect(new Map(values as [string, Buffer][])).toEqual(entry.xattrs);
    }
    const odd = entries.find(({ name }: { name: string }) => name.startsWith("./päx"));
    expect(odd).toMatchObject({
      modtime: "2009-02-13T23:31:30.123456789Z",
      accesstime: "1970-01-01T00:00:01.5Z",
    });
  });

  test("may contain an empty tar, or one without end blocks", async () => {
    for (const odd of [
      makeTar([]),
      makeTar([{ name: "a", content: "b" }], Buffer.alloc(0)),
      Buffer.alloc(0),
    ]) {
      const { blob, packed } = await pack(odd);
      const { toc, tarSplit } = readTables(blob, packed);
      expect((await rebuild(blob, planFromTarSplit(toc, readTarSplit([tarSplit])))).tarBytes).toBe(
        odd.length,
      );
      expect(packed.tarBytes).toBe(odd.length);
    }
  });
});

describe("refuses to pack", () => {
  const cases: [string, Buffer, string][] = [
    [
      "a tar truncated in a content",
      makeTar([{ name: "a", content: noise(2000, "cut") }]).subarray(0, 1200),
      "ARCHIVE_TRUNCATED",
    ],
    ["a tar truncated in a header", makeTar([{ name: "a" }]).subarray(0, 100), "ARCHIVE_TRUNCATED"],
    ["no tar", noise(4096, "no tar"), "ARCHIVE_UNKNOWN_FORMAT"],
    [
      "one volume of a multi-volume archive",
      makeTar([{ name: "s", typeFlag: "M" }]),
      "ARCHIVE_UNSUPPORTED_MEMBER",
    ],
    [
      "an extended header of 1 GiB",
      makeTar([{ name: "x", typeFlag: "x", sizeField: 2 ** 30 }]),
      "ARCHIVE_LIMIT_EXCEEDED",
    ],
    [
      "a header after one block of zeros",
      Buffer.concat([Buffer.alloc(512), makeTar([{ name: "a" }])]),
      "ARCHIVE_CORRUPT",
    ],
  ];
  test.each(cases)("%s", async (_, tar, code) => {
    await expect(pack(tar)).rejects.toMatchObject({ code });
  });
});
