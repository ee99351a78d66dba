/**
 * The test job's image and artifact do on this machine what they shall do on the DUT: print what lavapipe is.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runProcess } from "../../../qemu/run-process.ts";
import { ensureTestArtifact } from "../../../qemu/test-image/test-artifact.ts";
import { ensureTestImage } from "../../../qemu/test-image/test-image.ts";
import { ensureToolsRoot, type ToolsRoot } from "../../../qemu/tools-root.ts";

let folder: string;
let tools: ToolsRoot;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "dutboot-image-"));
  tools = await ensureToolsRoot({ log: () => {} });
});
afterAll(() => rm(folder, { recursive: true }));

const readBlob = async (layout: string, digest: string) =>
  JSON.parse(await readFile(join(layout, "blobs", digest.replace(":", "/")), "utf8"));

test("the test passes in the test image", async () => {
  const layout = await ensureTestImage({ log: () => {} });
  const { manifests } = JSON.parse(await readFile(join(layout, "index.json"), "utf8"));
  const index = await readBlob(layout, manifests[0].digest);
  const manifest = await readBlob(layout, index.manifests[0].digest);
  const mediaTypes: string[] = manifest.layers.map(({ mediaType }: { mediaType: string }) => mediaType);
  expect(mediaTypes.length).toBeGreaterThanOrEqual(3);
  expect(new Set(mediaTypes.map((type) => type.split("+")[1]))).toEqual(new Set(["gzip", "zstd"]));

  const root = join(folder, "root");
  const artifact = await ensureTestArtifact();
  const layers = manifest.layers.map(({ digest }: { digest: string }) =>
    join(layout, "blobs", digest.replace(":", "/")),
  );
  for (const archive of [...layers, artifact.path]) {
    await tools.run("sh", [
      "-c",
      'mkdir -p "$1" && { zstd -dcq "$2" 2>/dev/null || gzip -dc "$2"; } | tar -x -C "$1"',
      "sh",
      root,
      archive,
    ]);
  }
  const output = await runProcess([
    "chroot",
    root,
    "env",
    "-i",
    "PATH=/usr/bin:/bin",
    "/install/run-vulkaninfo.sh",
  ]);
  expect(output).toContain("hwci: mesa: exit_code: 0\n");
  expect(await readFile(join(root, "results/vulkaninfo.txt"), "utf8")).toContain("DRIVER_ID_MESA_LLVMPIPE");
  const result = JSON.parse(await readFile(join(root, "results/result.json"), "utf8"));
  expect(result).toMatchObject({ test: "vulkaninfo", result: "pass", exit_code: 0 });
  expect(result.device).toMatch(/^llvmpipe/);
});
