/**
 * Converts a step's mounts to those of the OCI runtime, with podman's defaults (podman-create(1), "--volume", "--mount", "--tmpfs").
 */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  statSync,
} from "node:fs";
import { AgentError } from "../errors.ts";
import type { Mount } from "../job/step.ts";
import { isKernelError, O_CLOEXEC, O_DIRECTORY, O_PATH, openInRoot } from "../kernel/syscalls.ts";

export interface ContainerBind {
  from: string;
  to: string;
  options: string[];
}

export interface ContainerTmpfs {
  to: string;
  options: string[];
}

/** podman's own, which the runtime does not know; z and Z have no effect without SELinux. */
const PODMAN_ONLY = new Set(["z", "Z", "copy", "nocopy", "bind", "rbind"]);
const PROPAGATIONS = /^r?(shared|slave|private|unbindable)$/;

/** Throws VOLUME_BAD_MOUNT for options that we cannot ignore without changing the mount. */
export function planBind(from: string, { target, options }: Mount): ContainerBind {
  const unknown = options.find((option) => /^(O$|upperdir=|workdir=|idmap)/.test(option));
  if (unknown !== undefined) {
    throw new AgentError(
      "VOLUME_BAD_MOUNT",
      `Cannot mount on "${target}": the option "${unknown}" is not supported`,
    );
  }
  const kept = options.filter((option) => !PODMAN_ONLY.has(option) && !option.includes("="));
  const isFlat = options.includes("bind") && !options.includes("rbind");
  const propagation = kept.some((option) => PROPAGATIONS.test(option)) ? [] : ["rprivate"];
  return { from, to: target, options: [isFlat ? "bind" : "rbind", ...propagation, ...kept] };
}

export function planTmpfs({ target, options }: Mount): ContainerTmpfs {
  const kept = options.filter((option) => !PODMAN_ONLY.has(option) && option !== "notmpcopyup");
  const defaults = options.length === 0 ? ["rw", "noexec", "nosuid", "nodev"] : ["nosuid", "nodev"];
  const isGiven = (option: string) => kept.includes(option) || kept.includes(option.replace(/^no/, ""));
  // The image's content there is copied into it, unless the job says otherwise.
  const copies = options.includes("notmpcopyup") || kept.includes("tmpcopyup") ? [] : ["tmpcopyup"];
  return { to: target, options: [...defaults.filter((option) => !isGiven(option)), ...copies, ...kept] };
}

/** Missing directories are not created, as in podman. Throws VOLUME_NO_SOURCE. */
export function checkBindSource(path: string): void {
  try {
    statSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new AgentError("VOLUME_NO_SOURCE", `Cannot bind "${path}" of the DUT: ${code}`, { cause });
  }
}

/**
 * Copies the image's content at `target` into an empty volume, with the directory's owner and mode, as podman does
 * (podman-create(1), "nocopy"). Tests that do not run as root need the owner. Throws VOLUME_UNUSABLE.
 */
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

/** Symlinks are resolved inside the image. */
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
