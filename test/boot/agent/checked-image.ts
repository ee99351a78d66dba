/**
 * An image that verifies its own root: many files of random bytes, and a manifest of their sha256 that its
 * command checks. It detects any wrong byte from a store.
 */
import { createHash, hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Farm } from "../../../qemu/farm/farm.ts";
import { buildTar, type Member } from "../../unit/archive/tar-builder.ts";
import { pushSmallImage } from "./small-images.ts";

const APPLETS = ["sh", "sha256sum", "cat", "wc", "grep", "echo", "ls", "sed", "dd", "test"];
const LAYERS = 3;
/** Sizes around the limits: empty, inline in the image (64), one fs-verity block (4,096), several chunks. */
const SIZES_BYTES = [0, 1, 64, 65, 4095, 4096, 4097, 20_000, 65_536, 150_000];
const FILES_OF_EACH_SIZE = 4;

/** Prints `all N files are right` and exits with 0 only if each file matches the manifest. */
const CHECK = "sha256sum -c -s /MANIFEST && echo all $(wc -l </MANIFEST) files are right";

export interface CheckedImage {
  /** Digest of its manifest. */
  digest: string;
  layerDigests: string[];
  fileCount: number;
  /** sha256 of a file with several blocks, for tests that look for it in a store. */
  largeFile: { path: string; content: Buffer };
}

/** Two editions share half of their files. */
export async function pushCheckedImage(
  farm: Farm,
  folder: string,
  name: string,
  edition = "first",
): Promise<CheckedImage> {
  const busybox = await readFile(join(farm.tools.path, "usr/bin/busybox"));
  const files: { path: string; content: Buffer }[] = [];
  for (let layer = 0; layer < LAYERS; layer++) {
    for (const sizeBytes of SIZES_BYTES) {
      for (let count = 0; count < FILES_OF_EACH_SIZE; count++) {
        const path = `data/${layer}/${sizeBytes}-${count}`;
        const seed = count % 2 === 0 ? path : `${path} ${edition}`;
        files.push({ path, content: createBytes(seed, sizeBytes) });
      }
    }
  }
  const manifest = files.map(({ path, content }) => `${hash("sha256", content)}  ${path}\n`).join("");
  const base: Member[] = [
    { path: "bin/busybox", mode: 0o755, content: busybox },
    ...APPLETS.map((applet): Member => ({ path: `bin/${applet}`, type: "symlink", linkPath: "busybox" })),
    { path: "MANIFEST", content: manifest },
  ];
  const ofLayer = (layer: number) => files.filter(({ path }) => path.startsWith(`data/${layer}/`));
  const layers = Array.from({ length: LAYERS }, (_, layer) => ({
    tar: buildTar([...(layer === 0 ? base : []), ...ofLayer(layer)]),
    compression: (["gzip", "zstd", "none"] as const)[layer]!,
  }));
  const config = { Env: ["PATH=/bin"], Cmd: ["/bin/sh", "-c", CHECK], WorkingDir: "/" };
  const { manifestDigest, layerDigests } = await pushSmallImage(farm, folder, { name, layers, config });
  return { digest: manifestDigest, layerDigests, fileCount: files.length, largeFile: files.at(-1)! };
}

/** Pseudo-random and reproducible. */
function createBytes(seed: string, sizeBytes: number): Buffer {
  return createHash("shake256", { outputLength: Math.max(sizeBytes, 1) })
    .update(seed)
    .digest()
    .subarray(0, sizeBytes);
}
