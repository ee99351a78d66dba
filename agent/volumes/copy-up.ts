/**
 * What an image has in the place where an empty named volume comes is copied into it, owner and mode of the place too: so does
 * podman (podman-create(1), "--volume", "nocopy"), and tests that do not run as root count on it.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, closeSync, constants, fstatSync, openSync, readdirSync } from "node:fs";
import { AgentError } from "../errors.ts";
import { isKernelError, O_CLOEXEC, O_DIRECTORY, O_PATH, openInRoot } from "../kernel/syscalls.ts";

/** Nothing happens where the volume has anything in it, or the image nothing in that place. Throws VOLUME_UNUSABLE. */
export function copyUp({
  rootPath,
  target,
  dataPath,
}: {
  rootPath: string;
  target: string;
  dataPath: string;
}): void {
  if (readdirSync(dataPath).length > 0) return;
  const fd = openImageDirectory(rootPath, target);
  if (fd === undefined) return;
  try {
    const source = `/proc/${process.pid}/fd/${fd}`;
    if (readdirSync(source).length > 0) {
      execFileSync("cp", ["-a", `${source}/.`, dataPath], { stdio: ["ignore", "ignore", "pipe"] });
    }
    const { uid, gid, mode } = fstatSync(fd);
    chownSync(dataPath, uid, gid);
    chmodSync(dataPath, mode & 0o7777);
  } catch (cause) {
    const { stderr, message } = cause as Error & { stderr?: Buffer };
    throw new AgentError(
      "VOLUME_UNUSABLE",
      `Cannot copy the image's "${target}" into its volume: ${stderr?.toString().trim() || message}`,
      { cause },
    );
  } finally {
    closeSync(fd);
  }
}

/** Symlinks of the image stay within the image. */
function openImageDirectory(rootPath: string, target: string): number | undefined {
  const rootFd = openSync(rootPath, constants.O_RDONLY | O_PATH | O_DIRECTORY | O_CLOEXEC);
  try {
    return openInRoot(rootFd, target, constants.O_RDONLY | O_DIRECTORY);
  } catch (error) {
    if (isKernelError(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
    throw error;
  } finally {
    closeSync(rootFd);
  }
}
