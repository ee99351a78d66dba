/**
 * Reads what the runtime needs to know of a mounted root and of this machine.
 * The root's files come from the image, so they are opened inside the root and never by a plain path.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
} from "node:fs";
import { basename, join, normalize } from "node:path";
import { isKernelError } from "../../kernel/errno.ts";
import { fchownat, mkdirat, O_DIRECTORY, O_PATH, openInRoot } from "../../kernel/files.ts";
import type { UserFiles } from "../../runtime-spec/passwd.ts";
import { CONTAINER_OPEN_FILES, USER_FILE_MAX_BYTES } from "../limits.ts";

export function readUserFiles(rootPath: string): UserFiles {
  const passwd = readInRoot(rootPath, "etc/passwd")?.toString();
  const group = readInRoot(rootPath, "etc/group")?.toString();
  return { passwd, group };
}

/** A small file of the root, if it exists. */
export function readInRoot(rootPath: string, path: string): Buffer | undefined {
  // O_NONBLOCK, because the image may have a FIFO there.
  return useInRoot(rootPath, path, constants.O_RDONLY | constants.O_NONBLOCK, (fd) => {
    const status = fstatSync(fd);
    return status.isFile() && status.size <= USER_FILE_MAX_BYTES ? readFileSync(fd) : undefined;
  });
}

export function hasDirectory(rootPath: string, path: string): boolean {
  return useInRoot(rootPath, path, O_PATH | O_DIRECTORY, () => true) ?? false;
}

/** Creates a directory of the root with its parents; it belongs to the user, and the parents to root. */
export function makeDirectory(
  rootPath: string,
  path: string,
  { uid, gid }: { uid: number; gid: number },
): void {
  const names = normalize(path)
    .split("/")
    .filter((name) => name !== "");
  names.forEach((name, index) => {
    const parent = names.slice(0, index).join("/") || ".";
    if (!hasDirectory(rootPath, join(parent, name)))
      useInRoot(rootPath, parent, O_PATH | O_DIRECTORY, (fd) => mkdirat(fd, Buffer.from(name), 0o755));
  });
  useInRoot(rootPath, names.join("/"), constants.O_RDONLY | O_DIRECTORY, (fd) => fchownat(fd, "", uid, gid));
}

/** Whether the path leads to a program called `name` when symlinks are followed. */
export function resolvesTo(rootPath: string, path: string, name: string): boolean {
  const target = useInRoot(rootPath, path, O_PATH, (fd) => readlinkSync(`/proc/self/fd/${fd}`));
  return target !== undefined && basename(target) === name;
}

function useInRoot<Result>(
  rootPath: string,
  path: string,
  flags: number,
  use: (fd: number) => Result,
): Result | undefined {
  const rootFd = openSync(rootPath, O_PATH | O_DIRECTORY);
  try {
    const fd = openInRoot(rootFd, path, flags);
    try {
      return use(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  } finally {
    closeSync(rootFd);
  }
}

function isMissing(error: unknown): boolean {
  return isKernelError(error, "ENOENT", "ENOTDIR", "ELOOP", "ENXIO");
}

export interface ProcessFacts {
  capabilityMask: bigint;
  openFileLimit: number;
  fileSystems: ReadonlySet<string>;
}

/** The capabilities of this process and the features of this kernel, which limit those of a container. */
export function readProcessFacts(): ProcessFacts {
  const names = readFileSync("/proc/filesystems", "utf8").split("\n");
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  const capabilityMask = BigInt(`0x${mask ?? "0"}`);
  return {
    capabilityMask,
    openFileLimit: readOpenFileLimit(capabilityMask),
    fileSystems: new Set(names.map((line) => line.split("\t").at(-1)!).filter((name) => name !== "")),
  };
}

const CAP_SYS_RESOURCE = 24n;

/** The default of 4,096 is too low for parallel test runners; raising it needs a capability. */
function readOpenFileLimit(capabilityMask: bigint): number {
  if ((capabilityMask >> CAP_SYS_RESOURCE) & 1n) {
    return Math.min(CONTAINER_OPEN_FILES, Number(readFileSync("/proc/sys/fs/nr_open", "utf8")));
  }
  const own = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return Math.min(CONTAINER_OPEN_FILES, Number(own ?? 1024));
}

/** devtmpfs lacks these four links that every userland expects, and the runtime does not create them in a bound /dev. */
export function ensureStandardLinks(devPath: string): void {
  for (const [name, target] of [
    ["fd", "/proc/self/fd"],
    ["stdin", "/proc/self/fd/0"],
    ["stdout", "/proc/self/fd/1"],
    ["stderr", "/proc/self/fd/2"],
  ] as const) {
    if (!existsSync(`${devPath}/${name}`)) symlinkIfMissing(target, `${devPath}/${name}`);
  }
}

// existsSync follows links, and the link's target may be missing.
function symlinkIfMissing(target: string, path: string): void {
  try {
    symlinkSync(target, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
