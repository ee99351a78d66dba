/**
 * A root that is there as a tree already: an export of an NFS server, or a directory that an initrd archive brought along.
 * It stays as it is under an overlay, unless the job means to write into the export itself.
 */
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { AgentError } from "../../errors.ts";
import { isKernelError, umount } from "../../kernel/syscalls.ts";
import { mountOverlay } from "../mount/overlay.ts";
import { unmountRoot } from "../mount/unmount.ts";
import type { MountedRoot, RootOptions } from "../root-driver.ts";
import { createUnpackPool, type UnpackPool } from "../unpack/pool.ts";
import { unpackIntoRoot } from "../unpack/unpack-into-root.ts";
import { copyMetadataOfPath } from "../write/directory-metadata.ts";

export interface ExportRoot {
  /** Read-write as it is; else it is seen through an overlay, and nothing of the test gets into it. */
  isWritable: boolean;
  /** Mounts the export at a directory: read-only, unless the root is to be written into. */
  mountExport(target: string): Promise<void>;
}

export interface TreeRootOptions {
  /** Workers to share with others; absent: own ones. */
  pool?: UnpackPool;
}

/** Throws ROOT_MOUNT_FAILED and what `mountExport` throws. */
export async function mountExportRoot(
  { isWritable, mountExport }: ExportRoot,
  place: RootOptions,
  { pool = createUnpackPool() }: TreeRootOptions = {},
): Promise<MountedRoot> {
  refuseDigest(place);
  if (isWritable) {
    mkdirSync(place.target, { recursive: true, mode: 0o755 });
    await mountExport(place.target);
    return createTreeRoot(place.target, pool);
  }
  const exportDir = join(place.workDir, "..", "export");
  mkdirSync(exportDir, { recursive: true, mode: 0o755 });
  await mountExport(exportDir);
  try {
    mountOverTree(exportDir, place);
  } finally {
    // The overlay holds on to it; where there is none, nobody does.
    umount(exportDir, { lazy: true });
  }
  return createTreeRoot(place.target, pool);
}

/** `directory` is a path of the initrd. Throws ROOT_NO_DIRECTORY and ROOT_MOUNT_FAILED. */
export function mountDirectoryRoot(
  directory: string,
  place: RootOptions,
  { pool = createUnpackPool() }: TreeRootOptions = {},
): MountedRoot {
  refuseDigest(place);
  if (!statSync(directory, { throwIfNoEntry: false })?.isDirectory()) {
    throw new AgentError(
      "ROOT_NO_DIRECTORY",
      `Cannot take "${directory}" as the root: the initrd has no such directory`,
    );
  }
  mountOverTree(directory, place);
  return createTreeRoot(place.target, pool);
}

function refuseDigest({ composefsDigest }: RootOptions): void {
  if (composefsDigest === undefined) return;
  throw new AgentError(
    "ROOT_DIGEST_NOT_VERIFIED",
    `Cannot check the composefs digest "${composefsDigest}": the root is no image`,
  );
}

/** Directories below `layersDir`, from the lowest up, as overlayfs keeps them: whiteouts are theirs. Throws ROOT_MOUNT_FAILED. */
export function mountLayersRoot(
  layersDir: string,
  layers: readonly string[],
  place: RootOptions,
  { pool = createUnpackPool() }: TreeRootOptions = {},
): MountedRoot {
  refuseDigest(place);
  mountOver(layersDir, layers, place);
  return createTreeRoot(place.target, pool);
}

function mountOverTree(lowerDir: string, place: RootOptions): void {
  mountOver(join(lowerDir, ".."), [lowerDir], place);
}

function mountOver(
  layersDir: string,
  layers: readonly string[],
  { target, upperDir, workDir }: RootOptions,
): void {
  const top = layers.at(-1)!;
  for (const path of [target, upperDir, workDir]) mkdirSync(path, { recursive: true, mode: 0o755 });
  try {
    // The overlay shows the upper directory's owner and mode for `/`, so it gets the tree's.
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

function createTreeRoot(path: string, pool: UnpackPool): MountedRoot {
  return {
    path,
    unpackArchive: (source, to, options) => unpackIntoRoot(path, pool, source, to, options),
    unmount: async () => unmountRoot(path),
  };
}
