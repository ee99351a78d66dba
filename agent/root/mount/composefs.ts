/**
 * Mounts a composefs image: EROFS on a loop device, and over it an overlay that reads contents from the objects.
 * Tries the forms that kernels support: `verity=require` (6.6), data-only layers (6.5), a plain lower layer.
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
  /** Objects are sealed, so the kernel can require it. */
  requireVerity: boolean;
  /** Where the image is mounted temporarily. */
  metaDir: string;
}

/** Best first; the log shows the name. */
const FORMS = [
  { name: "data-only objects, verity required", separator: "::", needsVerity: true },
  { name: "data-only objects", separator: "::", needsVerity: false },
  { name: "objects as a plain layer", separator: ":", needsVerity: false },
] as const;

/** Returns the name of the form that worked. Throws ROOT_MOUNT_FAILED. */
export function mountComposefs(options: ComposefsMount): string {
  const { imagePath, objectsDir, metaDir, target, upperDir, workDir } = options;
  for (const path of [metaDir, target, upperDir, workDir]) mkdirSync(path, { recursive: true, mode: 0o755 });
  mountImage(options);
  try {
    // Owner and mode of `/` in an overlay are those of the upper directory.
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
    // The overlay keeps it mounted.
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
