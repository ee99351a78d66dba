/**
 * Reads metadata of files, and removes them, by the descriptor of their directory. Never follows symlinks.
 */
import { closeSync, fstatSync, readdirSync, type Stats } from "node:fs";
import {
  isKernelError,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  openInRoot,
  pathOfDescriptor,
  unlinkat,
} from "../../kernel/syscalls.ts";

/** undefined when no file has the name. */
export function statAt(dirFd: number, name: Buffer): Stats | undefined {
  let fd: number;
  try {
    fd = openInRoot(dirFd, name, O_PATH | O_NOFOLLOW);
  } catch (error) {
    if (isKernelError(error, "ENOENT")) return undefined;
    throw error;
  }
  try {
    return fstatSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** overlayfs marks a deleted file by a character device 0:0. */
export function isWhiteout(stats: Stats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0;
}

/** Removes a file, or a directory with its contents; does nothing when no file has the name. */
export function removeAt(dirFd: number, name: Buffer): void {
  try {
    unlinkat(dirFd, name);
    return;
  } catch (error) {
    if (isKernelError(error, "ENOENT")) return;
    if (!isKernelError(error, "EISDIR", "EPERM")) throw error;
  }
  const childFd = openInRoot(dirFd, name, O_DIRECTORY | O_NOFOLLOW);
  try {
    for (const entry of readdirSync(pathOfDescriptor(childFd), { encoding: "buffer" }))
      removeAt(childFd, entry);
  } finally {
    closeSync(childFd);
  }
  unlinkat(dirFd, name, { directory: true });
}
