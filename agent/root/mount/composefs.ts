/**
 * Mounts a composefs image: EROFS by a loop device, and over it an overlay that finds the contents among the objects.
 * Which form the kernel takes is found by trying: data-only layers (6.5), `verity=require` (6.6), the older form before.
 */
import { closeSync, mkdirSync, openSync } from "node:fs";
import { AgentError } from "../../errors.ts";
import { attachLoop, isKernelError, MS_RDONLY, mount, umount } from "../../kernel/syscalls.ts";
import type { RootOptions } from "../root-driver.ts";
import { copyMetadataOfPath } from "../write/directory-metadata.ts";

export interface ComposefsMount extends RootOptions {
  /** The EROFS image. */
  imagePath: string;
  objectsDir: string;
  /** The image uses POSIX ACLs. */
  usesAcl: boolean;
  /** Objects are sealed, so that the kernel can be told to insist on it. */
  requireVerity: boolean;
  /** A place to mount the image for a moment. */
  metaDir: string;
}

/** The forms, best first; each is what the log says of it. */
const FORMS = [
  { name: "data-only objects, verity required", separator: "::", needsVerity: true },
  { name: "data-only objects", separator: "::", needsVerity: false },
  { name: "objects as a plain layer", separator: ":", needsVerity: false },
] as const;

/** Gives the form that worked. Throws ROOT_MOUNT_FAILED. */
export function mountComposefs(options: ComposefsMount): string {
  const { imagePath, objectsDir, metaDir, target, upperDir, workDir } = options;
  for (const path of [metaDir, target, upperDir, workDir]) mkdirSync(path, { recursive: true, mode: 0o755 });
  mountImage(options);
  try {
    // The overlay shows the upper directory's owner and mode for `/`, so it gets the image's.
    copyMetadataOfPath(metaDir, upperDir);
    const refusals: string[] = [];
    for (const { name, separator, needsVerity } of FORMS) {
      if (needsVerity && !options.requireVerity) continue;
      const lower = `lowerdir=${metaDir}${separator}${objectsDir}`;
      const verity = needsVerity ? ",verity=require" : "";
      const data = `metacopy=on,redirect_dir=on,${lower},upperdir=${upperDir},workdir=${workDir}${verity}`;
      try {
        mount({ type: "overlay", source: "dutboot", target, data });
        return name;
      } catch (error) {
        if (!isKernelError(error)) throw error;
        refusals.push(`${name}: ${error.code}`);
      }
    }
    throw new AgentError(
      "ROOT_MOUNT_FAILED",
      `Cannot mount the composefs image "${imagePath}" at "${target}": ${refusals.join("; ")}`,
    );
  } finally {
    // The overlay keeps what it needs of it.
    umount(metaDir, { lazy: true });
  }
}

function mountImage({ imagePath, metaDir, usesAcl }: ComposefsMount): void {
  const imageFd = openSync(imagePath, "r");
  try {
    const loop = attachLoop(imageFd);
    try {
      const data = usesAcl ? "" : "noacl";
      mount({ type: "erofs", source: loop.path, target: metaDir, flags: MS_RDONLY, data });
    } finally {
      loop.close();
    }
  } catch (error) {
    if (!isKernelError(error) && !(error instanceof Error && "syscall" in error)) throw error;
    throw new AgentError(
      "ROOT_MOUNT_FAILED",
      `Cannot mount the EROFS image "${imagePath}": ${error.message}`,
      {
        cause: error,
      },
    );
  } finally {
    closeSync(imageFd);
  }
}
