/**
 * Mounts an existing tree as the root: an NFS export, a directory of the initrd, or directories of layers.
 * An overlay keeps it unchanged, unless the job wants to write into the export.
 */
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { AgentError } from "../../errors.ts";
import { isKernelError, umount } from "../../kernel/syscalls.ts";
import { mountOverlay } from "../mount/overlay.ts";
import type { MountedRoot, RootOptions } from "../root-driver.ts";
import { createUnpackPool, type UnpackPool } from "../unpack/pool.ts";
import { createWritableRoot } from "../unpack/writable-root.ts";
import { copyMetadataOfPath } from "../write/directory-metadata.ts";

export interface ExportRoot {
  /** The test writes into the export; otherwise into an overlay over it. */
  isWritable: boolean;
  /** Mounts the export: read-only unless `isWritable`. */
  mountExport(target: string): Promise<void>;
}

export interface TreeRootOptions {
  /** Shared workers; by default the root has its own. */
  pool?: UnpackPool;
}

/** Throws ROOT_MOUNT_FAILED and what `mountExport` throws. */
export async function mountExportRoot(
  { isWritable, mountExport }: ExportRoot,
  options: RootOptions,
  { pool = createUnpackPool() }: TreeRootOptions = {},
): Promise<MountedRoot> {
  assertNoDigest(options);
  if (isWritable) {
    mkdirSync(options.target, { recursive: true, mode: 0o755 });
    await mountExport(options.target);
    return createWritableRoot(options.target, pool);
  }
  const exportDir = join(options.workDir, "..", "export");
  mkdirSync(exportDir, { recursive: true, mode: 0o755 });
  await mountExport(exportDir);
  try {
    mountOverTree(exportDir, options);
  } finally {
    // The overlay keeps it mounted.
    umount(exportDir, { lazy: true });
  }
  return createWritableRoot(options.target, pool);
}

/** `directory` is a path of the initrd. Throws ROOT_NO_DIRECTORY and ROOT_MOUNT_FAILED. */
export function mountDirectoryRoot(
  directory: string,
  options: RootOptions,
  { pool = createUnpackPool() }: TreeRootOptions = {},
): MountedRoot {
  assertNoDigest(options);
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    throw new AgentError(
      "ROOT_NO_DIRECTORY",
      `Cannot use "${directory}" as the root: the initrd has no such directory`,
    );
  }
  mountOverTree(directory, options);
  return createWritableRoot(options.target, pool);
}

function assertNoDigest({ composefsDigest }: RootOptions): void {
  if (composefsDigest === undefined) return;
  throw new AgentError(
    "ROOT_DIGEST_NOT_VERIFIED",
    `Cannot check the composefs digest "${composefsDigest}": the root is not made of an image`,
  );
}

/** Directories below `layersDir`, from the lowest up, with whiteouts of overlayfs. Throws ROOT_MOUNT_FAILED. */
export function mountLayersRoot(
  layersDir: string,
  layers: readonly string[],
  options: RootOptions,
  { pool = createUnpackPool() }: TreeRootOptions = {},
): MountedRoot {
  assertNoDigest(options);
  mountOver(layersDir, layers, options);
  return createWritableRoot(options.target, pool);
}

function mountOverTree(lowerDir: string, options: RootOptions): void {
  mountOver(join(lowerDir, ".."), [lowerDir], options);
}

function mountOver(
  layersDir: string,
  layers: readonly string[],
  { target, upperDir, workDir }: RootOptions,
): void {
  const top = layers.at(-1)!;
  for (const path of [target, upperDir, workDir]) mkdirSync(path, { recursive: true, mode: 0o755 });
  try {
    // Owner and mode of `/` in an overlay are those of the upper directory.
    copyMetadataOfPath(top, upperDir);
  } catch (error) {
    if (!isKernelError(error) && (error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new AgentError(
      "ROOT_MOUNT_FAILED",
      `Cannot read the root at "${top}": ${(error as Error).message}`,
      {
        cause: error,
      },
    );
  }
  mountOverlay({ layersDir, layers, target, upperDir, workDir });
}
