/**
 * The root driver that needs nothing but overlayfs: each layer is unpacked into a directory of its own, and all are stacked.
 * Whiteouts and opaque directories are translated as overlayfs.rst has them.
 */
import { closeSync, mkdirSync, openSync, renameSync } from "node:fs";
import { join } from "node:path";
import { AgentError } from "../../errors.ts";
import { O_DIRECTORY } from "../../kernel/syscalls.ts";
import { mountOverlay } from "../mount/overlay.ts";
import { unmountRoot } from "../mount/unmount.ts";
import type { LayerSource, MountedRoot, RootDriver, RootLayer, RootOptions } from "../root-driver.ts";
import type { UnpackJob, UnpackResult } from "../unpack/messages.ts";
import { createUnpackPool, type UnpackPool } from "../unpack/pool.ts";
import { unpackIntoRoot } from "../unpack/unpack-into-root.ts";
import { copyMetadataOfPath, describeImpliedDirectories } from "../write/directory-metadata.ts";
import { removeAt } from "../write/fs-at.ts";

export interface OverlayDriverOptions {
  /** On a file system with xattrs; layers go into `layers/` below it. */
  storeDir: string;
  /** Workers to share with others; absent: own ones. */
  pool?: UnpackPool;
  /** For tests: mounts as kernels before 6.8 must. */
  onlyClassicMount?: boolean;
}

/** What the driver knows of a layer besides what it shows. */
interface OverlayLayer {
  path: string;
  unpacked: UnpackResult;
}

export function createOverlayDriver(options: OverlayDriverOptions): RootDriver {
  const { storeDir, pool = createUnpackPool(), onlyClassicMount = false } = options;
  const layersDir = join(storeDir, "layers");
  const known = new WeakMap<RootLayer, OverlayLayer>();
  let nextNumber = 0;

  return {
    name: "overlay",
    // Directories live no longer than the boot.
    warmUp: () => pool.warmUp(),

    expectLayers() {},

    hasLayer: () => false,

    async addLayer(source, options = {}) {
      const name = String(nextNumber++);
      const path = join(layersDir, name);
      const partialPath = `${path}.partial`;
      mkdirSync(partialPath, { recursive: true, mode: 0o755 });
      let unpacked: UnpackResult;
      try {
        unpacked = await pool.unpack(createLayerJob(partialPath, source), source, options);
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
      known.set(layer, { path, unpacked });
      return layer;
    },

    async mount(layers, options) {
      if (options.composefsDigest !== undefined) {
        throw new AgentError(
          "ROOT_DIGEST_NOT_VERIFIED",
          `Cannot check the composefs digest "${options.composefsDigest}": the root is made by overlay`,
        );
      }
      const stack = layers.map((layer) => {
        const own = known.get(layer);
        if (!own) throw new TypeError("A root is mounted of layers that the same driver took");
        return own;
      });
      const seen = stack.slice(
        Math.max(
          0,
          stack.findLastIndex(({ unpacked }) => unpacked.isRootOpaque),
        ),
      );
      if (seen.length === 0) seen.push(makeEmptyLayer(layersDir));
      describeImpliedDirectories(
        seen.map(({ path, unpacked }) => ({ path, impliedDirectories: unpacked.impliedDirectories })),
      );
      prepareUpper(seen, options);
      const paths = seen.map(({ path }) => path);
      mountOverlay({ ...options, layersDir, layers: paths, onlyClassic: onlyClassicMount });
      return createMountedRoot(options.target, pool);
    },
  };
}

function createLayerJob(rootPath: string, { digest, diffId, sizeBytes }: LayerSource): UnpackJob {
  return {
    kind: "layer",
    rootPath,
    to: "/",
    digest,
    diffId,
    sizeBytes,
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

/** overlayfs wants a lower layer even where an image has none. */
function makeEmptyLayer(layersDir: string): OverlayLayer {
  const path = join(layersDir, "empty");
  mkdirSync(path, { recursive: true, mode: 0o755 });
  const unpacked = {
    files: 0,
    contentBytes: 0,
    hasRoot: false,
    isRootOpaque: false,
    impliedDirectories: [],
    warnings: [],
  };
  return { path, unpacked };
}

/** The root directory that the test sees is the upper one: it gets owner, mode and time of the uppermost layer that has one. */
function prepareUpper(layers: readonly OverlayLayer[], { target, upperDir, workDir }: RootOptions): void {
  for (const path of [target, upperDir, workDir]) mkdirSync(path, { recursive: true, mode: 0o755 });
  const described = layers.findLast(({ unpacked }) => unpacked.hasRoot);
  if (described) copyMetadataOfPath(described.path, upperDir);
}

function createMountedRoot(path: string, pool: UnpackPool): MountedRoot {
  return {
    path,
    unpackArchive: (source, to, options) => unpackIntoRoot(path, pool, source, to, options),
    unmount: async () => unmountRoot(path),
  };
}
