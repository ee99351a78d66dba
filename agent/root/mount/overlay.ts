/**
 * Mounts directories as one overlayfs, however many they are.
 * Linux 6.8 takes each layer as an option of its own; before, one page of text must do (containers/storage#1159), so names are short.
 */
import { relative } from "node:path";
import { AgentError } from "../../errors.ts";
import { isKernelError, mount, mountByOptions } from "../../kernel/syscalls.ts";

export interface OverlayMount {
  /** The directory that all layers lie below. */
  layersDir: string;
  /** From the lowest up; absolute paths in `layersDir`. */
  layers: readonly string[];
  target: string;
  upperDir: string;
  workDir: string;
  /** Set, the older way is taken at once: for tests. */
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

/** False where the kernel knows no `lowerdir+`, or no such calls at all. */
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
  // The whole process moves, for two synchronous calls that nothing else can come between.
  const before = process.cwd();
  process.chdir(layersDir);
  try {
    mount({ type: "overlay", source: "dutboot", target, data });
  } finally {
    process.chdir(before);
  }
}
