/** Single-layer images for tests, pushed to the farm, and optionally corrupted in the registry's storage. */
import { mkdir, open, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Farm } from "../../../qemu/farm/farm.ts";
import { type LayerInput, writeImageLayout } from "../../../qemu/test-image/image-layout.ts";
import { pushImage } from "../../../qemu/test-image/push-image.ts";

export interface SmallImage {
  /** `name:tag` */
  name: string;
  layers: readonly Omit<LayerInput, "createdBy">[];
  /** The image configuration; default: empty. */
  config?: Record<string, unknown>;
}

/** Returns the digests of manifest and layers. */
export async function pushSmallImage(farm: Farm, folder: string, { name, layers, config = {} }: SmallImage) {
  const layout = join(folder, name.replaceAll(/[^\w.-]/g, "_"));
  await mkdir(layout, { recursive: true });
  const { manifestDigest } = await writeImageLayout(layout, {
    layers: layers.map((layer) => ({ createdBy: "a test", ...layer })),
    config,
    architecture: "amd64",
    created: "2026-01-01T00:00:00Z",
  });
  await pushImage(farm, layout, name);
  const blob = await readFile(join(layout, "blobs/sha256", manifestDigest.slice("sha256:".length)), "utf8");
  const manifest = JSON.parse(blob) as { layers: { digest: string }[] };
  return { manifestDigest, layerDigests: manifest.layers.map(({ digest }) => digest) };
}

/** Inverts one byte in the middle of a blob in the registry's storage, as a failing disk would. */
export async function spoilBlob(farm: Farm, digest: string): Promise<void> {
  const hex = digest.slice("sha256:".length);
  const blobs = join(farm.path, "registry/storage/docker/registry/v2/blobs/sha256");
  const file = await open(join(blobs, hex.slice(0, 2), hex, "data"), "r+");
  try {
    const at = Math.floor((await file.stat()).size / 2);
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    byte[0] = byte[0]! ^ 0xff;
    await file.write(byte, 0, 1, at);
  } finally {
    await file.close();
  }
}
