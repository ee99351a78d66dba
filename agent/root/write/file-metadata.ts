/**
 * Gives an unpacked file its owner, mode, attributes and time, in the order that keeps them all:
 * chown clears set-id bits and capabilities, and every later change would move the time.
 */
import type { TarEntry } from "../../archive/tar-entry.ts";
import { pathBytes } from "../../archive/tar-entry.ts";
import {
  fchmod,
  fchmodat,
  fchownat,
  fsetxattr,
  isKernelError,
  lsetxattr,
  pathOfDescriptor,
  utimensat,
} from "../../kernel/syscalls.ts";

const NO_PATH = Buffer.alloc(0);
/** overlayfs's own attributes: in an archive they would be orders to our mount (umoci translates them for the same reason). */
const OVERLAY_PREFIX = "trusted.overlay.";

/** Told of each attribute that was not set. */
export type OnLostXattr = (name: string, reason: string) => void;

/** For a file or directory that is open (not O_PATH). Directories get their time later, once they are full. */
export function setMetadata(fd: number, entry: TarEntry, onLost: OnLostXattr): void {
  fchownat(fd, NO_PATH, entry.uid, entry.gid);
  fchmod(fd, entry.mode);
  setXattrs(entry, onLost, (name, value) => fsetxattr(fd, name, value));
  if (entry.type !== "directory") utimensat(fd, NO_PATH, entry.mtime, entry.mtime);
}

/** For links, devices and FIFOs, which must not be opened. */
export function setMetadataAt(dirFd: number, name: Buffer, entry: TarEntry, onLost: OnLostXattr): void {
  fchownat(dirFd, name, entry.uid, entry.gid);
  if (entry.type !== "symlink") fchmodat(dirFd, name, entry.mode);
  const path = () => Buffer.concat([Buffer.from(`${pathOfDescriptor(dirFd)}/`), name]);
  setXattrs(entry, onLost, (xattr, value) => lsetxattr(path(), xattr, value));
  utimensat(dirFd, name, entry.mtime, entry.mtime);
}

function setXattrs(entry: TarEntry, onLost: OnLostXattr, set: (name: Buffer, value: Buffer) => void): void {
  for (const [name, value] of entry.xattrs) {
    if (name.startsWith(OVERLAY_PREFIX)) {
      onLost(`${OVERLAY_PREFIX}*`, "they are overlayfs's own");
      continue;
    }
    try {
      set(pathBytes(name), value);
    } catch (error) {
      // user.* on a tmpfs before Linux 6.6, or on links and devices: the kernel has no place for them.
      if (!isKernelError(error, "EOPNOTSUPP", "ENOTSUP", "EPERM")) throw error;
      onLost(name, `the file system takes none (${error.code})`);
    }
  }
}
