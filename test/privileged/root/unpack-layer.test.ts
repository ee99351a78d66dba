import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compress } from "zstd-napi";
import {
  AT_FDCWD,
  fchmodat,
  fchownat,
  linkat,
  lsetxattr,
  mkdirat,
  mknodat,
  symlinkat,
  utimensat,
} from "../../../agent/kernel/syscalls.ts";
import { computeDigest } from "../../../agent/oci/digest.ts";
import { buildTar } from "../../unit/archive/tar-builder.ts";
import { createScratch, type Scratch, sourceOf } from "./scratch.ts";
import { listTree } from "./tree-listing.ts";

let scratch: Scratch;
beforeAll(() => {
  scratch = createScratch();
});
afterAll(() => scratch.close());

/** Everything a layer may hold, made by system calls and packed by GNU tar. */
function makeHardTree(): string {
  const tree = join(scratch.path, "tree");
  const at = (name: string, encoding: BufferEncoding = "utf8") =>
    Buffer.concat([Buffer.from(`${tree}/`), Buffer.from(name, encoding)]);
  mkdirSync(tree);
  writeFileSync(at("setuid"), "binary");
  fchownat(AT_FDCWD, at("setuid"), 1000, 1000);
  fchmodat(AT_FDCWD, at("setuid"), 0o6755);
  writeFileSync(at("capable"), "binary");
  lsetxattr(
    at("capable"),
    "security.capability",
    Buffer.from("0100000280000000000000000000000000000000", "hex"),
  );
  writeFileSync(at("xattrs"), "x");
  lsetxattr(at("xattrs"), "trusted.newline", Buffer.from("a\nb=c\n"));
  lsetxattr(at("xattrs"), "trusted.nul", Buffer.from("\0a\0"));
  lsetxattr(at("xattrs"), "trusted.high", Buffer.from("00ff80c3280a41", "hex"));
  writeFileSync(at("caf\xe9\xff", "latin1"), "not UTF-8");
  writeFileSync(at("caf\u00e9"), "UTF-8, composed");
  writeFileSync(at("cafe\u0301"), "UTF-8, decomposed");
  writeFileSync(at("new\nline"), "x");
  writeFileSync(at("big-uid"), "x");
  fchownat(AT_FDCWD, at("big-uid"), 3_000_000_000, 4_000_000_000);
  writeFileSync(at("1960"), "x");
  utimensat(AT_FDCWD, at("1960"), { sec: 0, nsec: 0 }, { sec: -312_753_294, nsec: 200_000_001 });
  writeFileSync(at("2100"), "x");
  utimensat(AT_FDCWD, at("2100"), { sec: 0, nsec: 0 }, { sec: 4_102_444_800, nsec: 999_999_999 });
  writeFileSync(at("hard-a"), "linked");
  linkat(AT_FDCWD, at("hard-a"), AT_FDCWD, at("hard-b"));
  symlinkat("/etc/passwd", AT_FDCWD, at("absolute-link"));
  symlinkat("../../..", AT_FDCWD, at("upward-link"));
  symlinkat(Buffer.from("dangling\xff", "latin1"), AT_FDCWD, at("odd-link"));
  fchownat(AT_FDCWD, at("odd-link"), 5, 6);
  linkat(AT_FDCWD, at("odd-link"), AT_FDCWD, at("odd-link-2"));
  mknodat(AT_FDCWD, at("null"), 0o020666, { major: 1, minor: 3 });
  fchmodat(AT_FDCWD, at("null"), 0o666);
  mknodat(AT_FDCWD, at("loop"), 0o060640, { major: 7, minor: 200 });
  mknodat(AT_FDCWD, at("fifo"), 0o010600);
  const deep = `${"long-directory-name-".repeat(10)}/`.repeat(3);
  mkdirSync(at(deep), { recursive: true });
  writeFileSync(at(`${deep}${"f".repeat(255)}`), "deep");
  mkdirat(AT_FDCWD, at("sticky"), 0o700);
  fchmodat(AT_FDCWD, at("sticky"), 0o1777);
  writeFileSync(at("empty"), "");
  utimensat(AT_FDCWD, at("sticky"), { sec: 0, nsec: 0 }, { sec: 1, nsec: 2 });
  return tree;
}

describe("a tree of all types, packed by GNU tar", () => {
  let tree: string;
  beforeAll(() => {
    tree = makeHardTree();
  });

  it.each([
    ["pax", ["--format=pax", "--xattrs", "--xattrs-include=*"], true],
    ["gnu", ["--format=gnu"], false],
  ])("is unpacked to the same tree (%s)", async (_name, flags, isExact) => {
    const archive = execFileSync("tar", [...flags, "-C", tree, "-cf", "-", "."], { maxBuffer: 1 << 26 });
    const layer = await scratch
      .createDriver()
      .addLayer(sourceOf(archive, { diffId: computeDigest(archive) }));
    const listed = listTree(scratch.layerPath(0), { times: isExact });
    expect(layer.warnings).toEqual([]);
    // GNU's own format has neither attributes nor parts of seconds.
    const expected = listTree(tree, { times: isExact });
    const comparable = (lines: string[]) =>
      isExact ? lines : lines.map((line) => line.replace(/ (security|trusted)\.\S+/g, ""));
    expect(comparable(listed)).toEqual(comparable(expected));
  });
});

describe("compression", () => {
  const tar = buildTar([{ path: "a", content: "x".repeat(100_000) }]);
  const diffId = computeDigest(tar);
  const forms = {
    none: tar,
    gzip: gzipSync(tar),
    zstd: compress(tar),
    "zstd after a skippable frame": Buffer.concat([Buffer.from("502a4d180100000000", "hex"), compress(tar)]),
    xz: execFileSync("xz", ["-c"], { input: tar }),
  };
  it.each(Object.entries(forms))("%s", async (_name, bytes) => {
    for (const pieceBytes of [1 << 20, 3]) {
      const source = sourceOf(
        bytes,
        { digest: computeDigest(bytes), diffId, sizeBytes: bytes.length },
        pieceBytes,
      );
      const progress: number[] = [];
      const layer = await scratch
        .createDriver()
        .addLayer(source, { onProgress: ({ bytesIn }) => progress.push(bytesIn) });
      expect(layer).toMatchObject({ files: 1, bytes: 100_000, diffId });
      expect(progress.at(-1)).toBe(bytes.length);
    }
  });

  it("reports truncated xz data", async () => {
    await expect(scratch.createDriver().addLayer(sourceOf(forms.xz.subarray(0, -20)))).rejects.toMatchObject({
      code: "ARCHIVE_TRUNCATED",
    });
  });

  it("reports damaged xz data", async () => {
    const bytes = Buffer.from(forms.xz);
    bytes[40]! ^= 0xff;
    await expect(scratch.createDriver().addLayer(sourceOf(bytes))).rejects.toMatchObject({
      code: "ARCHIVE_CORRUPT",
    });
  });
});

describe("refuses a layer with", () => {
  const tar = buildTar([{ path: "a", content: "x".repeat(3_000_000) }]);
  const zst = compress(tar, { checksumFlag: true });
  const digest = computeDigest(zst);
  const diffId = computeDigest(tar);
  const other = computeDigest(Buffer.from("other"));
  const damaged = Buffer.from(zst);
  damaged[damaged.length - 10]! ^= 1;

  it.each([
    ["other bytes", { digest: other, diffId }, zst, "LAYER_DIGEST_MISMATCH"],
    ["another DiffID", { digest, diffId: other }, zst, "LAYER_DIFFID_MISMATCH"],
    ["too few bytes", { digest, sizeBytes: zst.length + 1 }, zst, "LAYER_SIZE_MISMATCH"],
    ["too many bytes", { digest, sizeBytes: zst.length - 1 }, zst, "LAYER_SIZE_MISMATCH"],
    ["a download that is damaged, not the image", { digest }, damaged, "LAYER_DIGEST_MISMATCH"],
    ["a truncated download", { digest, sizeBytes: zst.length }, zst.subarray(0, 40), "LAYER_SIZE_MISMATCH"],
    ["an error page", { digest }, Buffer.from("<!DOCTYPE html>".repeat(100)), "LAYER_DIGEST_MISMATCH"],
    ["a bad archive with the right digest", { digest: computeDigest(damaged) }, damaged, "ARCHIVE_CORRUPT"],
    [
      "data that is not an archive, and no digest",
      {},
      Buffer.from("<!DOCTYPE html>".repeat(100)),
      "ARCHIVE_UNKNOWN_FORMAT",
    ],
    [
      "a truncated tar with the right digest",
      { digest: computeDigest(tar.subarray(0, 5120)) },
      tar.subarray(0, 5120),
      "ARCHIVE_TRUNCATED",
    ],
  ])("%s", async (_name, facts, bytes, code) => {
    const driver = scratch.createDriver();
    await expect(driver.addLayer(sourceOf(bytes, facts))).rejects.toMatchObject({ code });
    expect(listTree(join(scratch.storeDir, "layers")).slice(1)).toEqual([]);
  });

  it("passes on an error of the source, and leaves no files", async () => {
    const driver = scratch.createDriver();
    const down = new Error("the link went down");
    const source = {
      open: async () =>
        (async function* () {
          yield tar.subarray(0, 2_000_000);
          throw down;
        })(),
    };
    await expect(driver.addLayer(source)).rejects.toBe(down);
    expect(listTree(join(scratch.storeDir, "layers")).slice(1)).toEqual([]);
    // The worker is as good as before.
    expect(await driver.addLayer(sourceOf(tar))).toMatchObject({ files: 1 });
  });

  it("an abort ends the wait for a silent source", async () => {
    const driver = scratch.createDriver();
    const stop = new AbortController();
    const reason = new Error("deadline");
    const source = {
      open: async () =>
        (async function* () {
          yield tar.subarray(0, 2_000_000);
          setTimeout(() => stop.abort(reason), 20);
          await new Promise(() => {});
        })(),
    };
    await expect(driver.addLayer(source, { signal: stop.signal })).rejects.toBe(reason);
    expect(listTree(join(scratch.storeDir, "layers")).slice(1)).toEqual([]);
    expect(await driver.addLayer(sourceOf(tar))).toMatchObject({ files: 1 });
  });
});

it("unpacks more layers at a time than it has workers", async () => {
  const driver = scratch.createDriver();
  const tars = Array.from({ length: 8 }, (_, i) =>
    buildTar([{ path: `f${i}`, content: `${i}`.repeat(200_000) }]),
  );
  const layers = await Promise.all(
    tars.map((tar) => driver.addLayer(sourceOf(tar, { diffId: computeDigest(tar) }))),
  );
  expect(layers.map(({ bytes }) => bytes)).toEqual(Array(8).fill(200_000));
});

it("reports a full tmpfs with its sizes, and leaves no files", async () => {
  const small = createScratch("size=2m,mode=0755");
  try {
    const driver = small.createDriver();
    const tar = buildTar([
      { path: "d/", type: "directory" },
      { path: "d/a", content: Buffer.alloc(1_000_000, 1) },
      { path: "d/b", content: Buffer.alloc(3_000_000, 1) },
    ]);
    await expect(driver.addLayer(sourceOf(tar))).rejects.toMatchObject({
      code: "ROOT_NO_SPACE",
      message: expect.stringMatching(
        /^Cannot unpack "d\/b": no space left: 0\.\d MB of 2\.1 MB and \d+ of \d+ inodes are free after \d\.\d MB in 3 files/,
      ),
    });
    expect(listTree(join(small.storeDir, "layers")).slice(1)).toEqual([]);
  } finally {
    small.close();
  }
});

it("reports a tmpfs that cannot have more files", async () => {
  const small = createScratch("size=20m,nr_inodes=20,mode=0755");
  try {
    const members = Array.from({ length: 30 }, (_, i) => ({ path: `f${i}` }));
    await expect(small.createDriver().addLayer(sourceOf(buildTar(members)))).rejects.toMatchObject({
      code: "ROOT_NO_SPACE",
    });
  } finally {
    small.close();
  }
});
