/**
 * Mounts any number of directories as one overlayfs, and unmounts roots.
 * Linux 6.8 takes one option per layer; older kernels take one page of text (containers/storage#1159), so names are short.
 */
import { relative } from "node:path";
import { AgentError } from "../../errors.ts";
import { isKernelError, mount, mountByOptions, umount } from "../../kernel/syscalls.ts";

export interface OverlayMount {
  /** The directory that contains all layers. */
  layersDir: string;
  /** From the lowest up; absolute paths in `layersDir`. */
  layers: readonly string[];
  target: string;
  upperDir: string;
  workDir: string;
  /** For tests: mounts like kernels before 6.8. */
  onlyClassic?: boolean;
}

/** Throws ROOT_MOUNT_FAILED. */
export function mountOverlay(overlay: OverlayMount): void {
  try {
    if (overlay.onlyClassic || !mountByLayerOptions(overlay)) mountClassic(overlay);
  } catch (error) {
    if (!isKernelError(error) && !(error instanceof RangeError)) throw error;
    throw new AgentError(
      "ROOT_MOUNT_FAILED",
      `Cannot mount ${overlay.layers.length} layers at "${overlay.target}": ${error.message}`,
      { cause: error },
    );
  }
}

/** Returns false when the kernel does not support `lowerdir+` or the mount API. */
function mountByLayerOptions({ layers, target, upperDir, workDir }: OverlayMount): boolean {
  const topFirst = layers.toReversed().map((path) => ["lowerdir+", path] as const);
  try {
    mountByOptions({
      type: "overlay",
      target,
      options: [["source", "dutboot"], ...topFirst, ["upperdir", upperDir], ["workdir", workDir]],
    });
    return true;
  } catch (error) {
    if (isKernelError(error, "EINVAL", "ENOSYS")) return false;
    throw error;
  }
}

function mountClassic({ layersDir, layers, target, upperDir, workDir }: OverlayMount): void {
  const names = layers.toReversed().map((path) => relative(layersDir, path));
  const data = `lowerdir=${names.join(":")},upperdir=${upperDir},workdir=${workDir}`;
  // Changes the directory of the whole process, but only for synchronous calls.
  const before = process.cwd();
  process.chdir(layersDir);
  try {
    mount({ type: "overlay", source: "dutboot", target, data });
  } finally {
    process.chdir(before);
  }
}

/** Throws ROOT_UNMOUNT_FAILED while a process uses it. */
export function unmountRoot(path: string): void {
  try {
    umount(path);
  } catch (error) {
    if (!isKernelError(error)) throw error;
    throw new AgentError("ROOT_UNMOUNT_FAILED", `Cannot unmount the root at "${path}": ${error.code}`, {
      cause: error,
    });
  }
}
