/**
 * Our chunked layers and those of skopeo 1.18 (podman 5.4's code) are each understood by the other.
 * skopeo pulls ours in parts from a real registry and enforces the DiffID; we rebuild the tar of a layer it wrote.
 */

import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decompress } from "zstd-napi";
import { FrameDecoder } from "../../../agent/archive/zstd-chunked/frame-decoder.ts";
import {
  LayerRebuilder,
  planFromHeaderFrames,
  planFromTarSplit,
} from "../../../agent/archive/zstd-chunked/layer-rebuilder.ts";
import {
  type ChunkedPositions,
  parseChunkedAnnotations,
} from "../../../agent/archive/zstd-chunked/positions.ts";
import { readTarSplit } from "../../../agent/archive/zstd-chunked/tar-split.ts";
import type { Toc } from "../../../agent/archive/zstd-chunked/toc.ts";
import type { ServerProcess } from "../../../qemu/farm/server-process.ts";
import { ensureToolsRoot, type ToolsRoot } from "../../../qemu/tools-root.ts";
import { type PackedArchive, packArchive } from "../../../scripts/pack/archive-packer.ts";
import { createTarHash, parseToc } from "../../unit/zstd-chunked/readers.ts";
import { makeTar, startRegistry, writeLayout } from "./registry-images.ts";

const directory = mkdtempSync(join(tmpdir(), "skopeo-"));
let tools: ToolsRoot;
let registry: (ServerProcess & { port: number }) | undefined;

beforeAll(async () => {
  tools = await ensureToolsRoot({ log: () => {} });
  registry = await startRegistry(tools, directory);
}, 600_000);

afterAll(async () => {
  await registry?.stop();
  rmSync(directory, { recursive: true });
});

async function pack(tar: Buffer): Promise<{ blob: Buffer; packed: PackedArchive }> {
  const parts: Buffer[] = [];
  const packing = packArchive([tar]);
  for (;;) {
    const step = await packing.next();
    if (step.done) return { blob: Buffer.concat(parts), packed: step.value };
    parts.push(step.value);
  }
}

function readTables(blob: Buffer, positions: ChunkedPositions): { toc: Toc; tarSplit: Buffer } {
  const cut = ({ offset, sizeBytes }: { offset: number; sizeBytes: number }) =>
    blob.subarray(offset, offset + sizeBytes);
  const tocFrame = cut(positions.toc);
  expect(`sha256:${createHash("sha256").update(tocFrame).digest("hex")}`).toBe(positions.tocDigest);
  const toc = parseToc(decompress(tocFrame), { dataEnd: positions.toc.offset - 8 });
  expect(createHash("sha256").update(cut(positions.tarSplit!)).digest("hex")).toBe(toc.tarSplitDigest);
  return { toc, tarSplit: decompress(cut(positions.tarSplit!)) };
}

const CHUNKED = "layer.v1.tar+zstd";

describe("skopeo", () => {
  test("pulls our layers partially, the second time only the changes", async () => {
    const storage = join(directory, "storage.conf");
    writeFileSync(
      storage,
      `[storage]\ndriver = "overlay"\ngraphroot = "${directory}/graph"\nrunroot = "${directory}/run"\n` +
        '[storage.options]\npull_options = {enable_partial_images = "true"}\n',
    );
    const reference = (version: string) => `docker://127.0.0.1:${registry!.port}/${version}:t`;
    for (const version of ["one", "two"]) {
      const { blob, packed } = await pack(makeTar(directory, version));
      const layout = writeLayout(directory, version, blob, packed.diffId, CHUNKED, packed.annotations);
      await tools.run("skopeo", [
        "--insecure-policy",
        "copy",
        "--dest-tls-verify=false",
        `oci:${layout}:t`,
        reference(version),
      ]);
      await tools.run(
        "sh",
        [
          "-c",
          'exec skopeo --debug --insecure-policy copy --src-tls-verify=false "$1" "containers-storage:$2:t" 2> "$3"',
          "sh",
          reference(version),
          version,
          join(directory, `${version}.log`),
        ],
        { env: { ...process.env, CONTAINERS_STORAGE_CONF: storage } },
      );
      expect(readFileSync(join(directory, `${version}.log`), "utf8")).toContain(
        `Retrieved partial blob ${packed.digest}`,
      );
    }
    const answers = readFileSync(join(directory, "registry.log"), "utf8").matchAll(
      /GET \/v2\/two\/blobs\/\S+ HTTP\/1\.1" 206 (\d+)/g,
    );
    const bytes = [...answers].reduce((sum, [, size]) => sum + Number(size), 0);
    expect(bytes).toBeGreaterThan(0);
    // Three files of 9,600 bytes, the table and the tar-split, of about a million.
    expect(bytes).toBeLessThan(100_000);
  });

  test("writes layers that we rebuild from tar-split and header frames, with the same TOC as ours", async () => {
    const tar = makeTar(directory, "three");
    const diffId = `sha256:${createHash("sha256").update(tar).digest("hex")}`;
    const plain = writeLayout(directory, "plain", tar, diffId, "layer.v1.tar");
    const target = join(directory, "chunked");
    await tools.run("skopeo", [
      "--insecure-policy",
      "copy",
      "--dest-compress-format=zstd:chunked",
      `oci:${plain}:t`,
      `oci:${target}:t`,
    ]);
    const read = (digest: string) =>
      readFileSync(join(target, "blobs/sha256", digest.slice("sha256:".length)));
    const index = JSON.parse(readFileSync(join(target, "index.json"), "utf8"));
    const [layer] = JSON.parse(read(index.manifests[0].digest).toString()).layers;
    const blob = read(layer.digest);
    const positions = parseChunkedAnnotations(layer.annotations)!;
    const { toc, tarSplit } = readTables(blob, positions);

    const dataEnd = positions.toc.offset - 8;
    for (const steps of [
      planFromTarSplit(toc, readTarSplit([tarSplit])),
      planFromHeaderFrames(toc, dataEnd),
    ]) {
      const paths: string[] = [];
      const rebuilder = new LayerRebuilder(({ entry }) => paths.push(entry.path), createTarHash());
      const decoder = new FrameDecoder();
      for await (const step of steps) {
        if (step.kind === "literal") rebuilder.addLiteral(step.bytes);
        else if (step.kind === "headers") {
          for (const bytes of decoder.decodeAll(blob.subarray(step.range.start, step.range.end)))
            rebuilder.addLiteral(bytes);
        } else {
          rebuilder.startContent(step.file);
          for (const { offset, endOffset, sizeBytes, isZeros } of step.file.chunks) {
            rebuilder.addContent(
              isZeros ? Buffer.alloc(sizeBytes) : decoder.decode(blob.subarray(offset, endOffset), sizeBytes),
            );
          }
          rebuilder.endContent();
        }
      }
      expect(rebuilder.finish()).toEqual({ diffId, tarBytes: tar.length });
      expect(paths.length).toBeGreaterThan(toc.files.length);
    }

    const ours = await pack(tar);
    const { toc: ourToc } = readTables(ours.blob, ours.packed.positions);
    const withoutPlaces = ({ files }: Toc) =>
      [...files].map(({ chunks, ...file }) => ({
        ...file,
        chunks: chunks.map(({ fileOffset, sizeBytes, digest, isZeros }) => ({
          fileOffset,
          sizeBytes,
          digest,
          isZeros,
        })),
      }));
    expect(withoutPlaces(ourToc)).toEqual(withoutPlaces(toc));
  });
});
