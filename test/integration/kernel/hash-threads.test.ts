/**
 * Compares hash threads with JavaScript: digests, files cut anywhere, reused buffers, and errors of the file system.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { computeFsVerityDigest } from "../../../agent/composefs/fsverity.ts";
import { FileThread, HashThread, QUEUE_BUFFERS, VerityHasher } from "../../../agent/kernel/syscalls.ts";

const CHUNK_BYTES = 64 * 1024;
const SIZES = [65, 4095, 4096, 4097, 8192, 65_536, 65_537, 524_288, 524_289, 1_000_003, 70_000_000];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-threads-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

/** Pushes concatenated files through a ring of buffers, as the unpacking worker does. */
function pushFiles(files: readonly Buffer[], threads: { files: FileThread; hash: HashThread }): void {
  const ring = Array.from({ length: QUEUE_BUFFERS + 1 }, () => Buffer.alloc(CHUNK_BYTES));
  let taken = 0;
  let filled = 0;
  let pieces: number[] = [];
  let buffer = ring[0]!;
  const push = () => {
    threads.hash.push(buffer.subarray(0, filled));
    threads.files.push(buffer.subarray(0, filled), Int32Array.from(pieces));
    buffer = ring[++taken % ring.length]!;
    filled = 0;
    pieces = [];
  };
  for (const file of files) {
    for (let at = 0; at < file.length; ) {
      const length = file.copy(buffer, filled, at);
      at += length;
      pieces.push(filled, length, at === file.length ? 1 : 0);
      filled += length;
      if (filled === buffer.length) push();
    }
  }
  push();
}

describe("hash threads", () => {
  test("write and hash files that pass through a few reused buffers", () => {
    const files = [...SIZES, ...SIZES.slice(0, 6)].map((size) => randomBytes(size));
    const threads = { files: new FileThread(folder), hash: new HashThread() };
    pushFiles(files, threads);
    const { verities, sha256s } = threads.files.end();
    expect(verities.toString("hex")).toBe(
      files.map((file) => computeFsVerityDigest(file).toString("hex")).join(""),
    );
    expect(sha256s?.toString("hex")).toBe(files.map(sha256).join(""));
    expect(threads.hash.end().toString("hex")).toBe(sha256(Buffer.concat(files)));
    expect(readdirSync(folder)).toHaveLength(files.length);
    for (const [index, file] of files.entries()) {
      expect(readFileSync(join(folder, `${index}`)).equals(file), `file ${index}`).toBe(true);
    }
  });

  test("report an error of the file system at the end at the latest", () => {
    writeFileSync(join(folder, "1"), "in the way");
    const thread = new FileThread(folder);
    thread.push(Buffer.alloc(200), Int32Array.of(0, 100, 1, 100, 100, 1));
    expect(() => thread.end()).toThrow(expect.objectContaining({ code: "EEXIST" }));
    expect(readFileSync(join(folder, "1"), "utf8")).toBe("in the way");
  });

  test("can be closed in the middle of a file, and twice", () => {
    const thread = new FileThread(folder);
    thread.push(Buffer.alloc(100), Int32Array.of(0, 100, 0));
    thread.close();
    thread.close();
    expect(() => thread.push(Buffer.alloc(1), new Int32Array(0))).toThrow(TypeError);
  });

  test.each([
    ["before its buffer", [-1, 10, 1]],
    ["behind its buffer", [0, 101, 1]],
    ["of negative length", [50, -1, 1]],
  ])("refuse a piece %s", (_, pieces) => {
    const thread = new FileThread(folder);
    expect(() => thread.push(Buffer.alloc(100), Int32Array.from(pieces))).toThrow("exceeds");
    expect(thread.end()).toEqual({ verities: Buffer.alloc(0), sha256s: Buffer.alloc(0) });
  });

  test("refuse a missing folder", () => {
    expect(() => new FileThread(join(folder, "none"))).toThrow("ENOENT");
  });
});

describe("the native fs-verity digest", () => {
  test.each([0, 1, ...SIZES])("is right for %d bytes in chunks of any size", (size) => {
    const content = randomBytes(size);
    const hasher = new VerityHasher();
    for (const chunkBytes of [4096, 4097, 100_003, size + 1]) {
      for (let at = 0; at < size; at += chunkBytes) hasher.update(content.subarray(at, at + chunkBytes));
      expect(hasher.digest()).toBe(computeFsVerityDigest(content).toString("hex"));
    }
  });
});
