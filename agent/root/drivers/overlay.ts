/**
 * The root driver that needs only overlayfs: it unpacks each layer into a directory and stacks the directories.
 */
import { closeSync, mkdirSync, openSync, renameSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { AgentError } from "../../errors.ts";
import { O_DIRECTORY } from "../../kernel/syscalls.ts";
import { mountOverlay } from "../mount/overlay.ts";
import type { RootDriver, RootLayer, RootOptions } from "../root-driver.ts";
import type { UnpackedDirectory, UnpackResult } from "../unpack/messages.ts";
import { createUnpackPool, type UnpackPool } from "../unpack/pool.ts";
import { createWritableRoot } from "../unpack/writable-root.ts";
import { copyMetadataOfPath, copyMetadataToImplied } from "../write/directory-metadata.ts";
import { removeAt } from "../write/fs-at.ts";

export interface OverlayDriverOptions {
  /** On a file system with xattrs; layers go into `layers/` below it. */
  storeDir: string;
  /** Shared workers; by default the driver has its own. */
  pool?: UnpackPool;
  /** For tests: mounts like kernels before 6.8. */
  onlyClassicMount?: boolean;
}

type OverlayLayer = UnpackedDirectory & { path: string };

export function createOverlayDriver(options: OverlayDriverOptions): RootDriver {
  const { storeDir, pool = createUnpackPool(), onlyClassicMount = false } = options;
  const layersDir = join(storeDir, "layers");
  const known = new WeakMap<RootLayer, OverlayLayer>();
  let nextNumber = 0;

  return {
    name: "overlay",
    warmUp: () => pool.warmUp(),

    expectLayers() {},

    // Directories do not outlive the boot.
    hasLayer: () => false,

    async addLayer(source, options = {}) {
      const name = String(nextNumber++);
      const path = join(layersDir, name);
      const partialPath = `${path}.partial`;
      mkdirSync(partialPath, { recursive: true, mode: 0o755 });
      let unpacked: UnpackResult;
      try {
        const { digest, diffId, sizeBytes } = source;
        const job = { kind: "layer", rootPath: partialPath, to: "/", digest, diffId, sizeBytes } as const;
        unpacked = await pool.unpack(job, source, options);
      } catch (error) {
        removeDirectory(layersDir, `${name}.partial`);
        throw error;
      }
      renameSync(partialPath, path);
      const layer: RootLayer = {
        digest: source.digest,
        diffId: source.diffId,
        files: unpacked.files,
        bytes: unpacked.contentBytes,
        warnings: unpacked.warnings,
      };
      known.set(layer, { path, ...unpacked.directory! });
      return layer;
    },

    async mount(layers, options) {
      if (options.composefsDigest !== undefined) {
        throw new AgentError(
          "ROOT_DIGEST_NOT_VERIFIED",
          `Cannot check the composefs digest "${options.composefsDigest}": the overlay driver makes no image`,
        );
      }
      const stack = layers.map((layer) => {
        const own = known.get(layer);
        if (!own) throw new TypeError("The layer was not added to this driver");
        return own;
      });
      const bottom = stack.findLastIndex(({ isRootOpaque }) => isRootOpaque);
      const visible = stack.slice(Math.max(0, bottom));
      if (visible.length === 0) visible.push(makeEmptyLayer(layersDir));
      copyMetadataToImplied(visible);
      prepareUpper(stack, options);
      const paths = visible.map(({ path }) => path);
      mountOverlay({ ...options, layersDir, layers: paths, onlyClassic: onlyClassicMount });
      return createWritableRoot(options.target, pool);
    },
  };
}

function removeDirectory(parentPath: string, name: string): void {
  const parentFd = openSync(parentPath, O_DIRECTORY);
  try {
    removeAt(parentFd, Buffer.from(name));
  } finally {
    closeSync(parentFd);
  }
}

/** overlayfs needs a lower layer even for an image without layers. */
function makeEmptyLayer(layersDir: string): OverlayLayer {
  const path = join(layersDir, "empty");
  mkdirSync(path, { recursive: true, mode: 0o755 });
  return { path, hasRoot: false, isRootOpaque: false, impliedDirectories: [] };
}

/** The root directory is that of the upper layer: it gets owner, mode and time from the uppermost layer that describes one. */
function prepareUpper(layers: readonly OverlayLayer[], { target, upperDir, workDir }: RootOptions): void {
  for (const path of [target, upperDir, workDir]) mkdirSync(path, { recursive: true, mode: 0o755 });
  const described = layers.findLast(({ hasRoot }) => hasRoot);
  if (described) copyMetadataOfPath(described.path, upperDir);
  else utimesSync(upperDir, 0, 0);
}
