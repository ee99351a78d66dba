/**
 * Sets owner, mode, attributes and time of an unpacked file, in this order: chown clears set-id bits and capabilities,
 * and every change updates the time.
 */
import { pathBytes, type TarEntry } from "../../archive/tar-entry.ts";
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
/** Attributes of overlayfs: from an archive they would control our mount (umoci drops them for the same reason). */
const OVERLAY_PREFIX = "trusted.overlay.";

/** Called for each attribute that was not set. */
export type OnDroppedXattr = (name: string, reason: string) => void;

/** For an open file or directory (not O_PATH). The time of a directory is set once its members are written. */
export function setMetadata(fd: number, entry: TarEntry, onDropped: OnDroppedXattr): void {
  fchownat(fd, NO_PATH, entry.uid, entry.gid);
  fchmod(fd, entry.mode);
  setXattrs(entry, onDropped, (name, value) => fsetxattr(fd, name, value));
  if (entry.type !== "directory") utimensat(fd, NO_PATH, entry.mtime, entry.mtime);
}

/** For symlinks, devices and FIFOs, which must not be opened. */
export function setMetadataAt(dirFd: number, name: Buffer, entry: TarEntry, onDropped: OnDroppedXattr): void {
  fchownat(dirFd, name, entry.uid, entry.gid);
  if (entry.type !== "symlink") fchmodat(dirFd, name, entry.mode);
  const path = () => Buffer.concat([Buffer.from(`${pathOfDescriptor(dirFd)}/`), name]);
  setXattrs(entry, onDropped, (xattr, value) => lsetxattr(path(), xattr, value));
  utimensat(dirFd, name, entry.mtime, entry.mtime);
}

function setXattrs(
  entry: TarEntry,
  onDropped: OnDroppedXattr,
  set: (name: Buffer, value: Buffer) => void,
): void {
  for (const [name, value] of entry.xattrs) {
    if (name.startsWith(OVERLAY_PREFIX)) {
      onDropped(`${OVERLAY_PREFIX}*`, "overlayfs reserves them");
      continue;
    }
    try {
      set(pathBytes(name), value);
    } catch (error) {
      // user.* on a tmpfs before Linux 6.6, or on symlinks and devices.
      if (!isKernelError(error, "EOPNOTSUPP", "ENOTSUP", "EPERM")) throw error;
      onDropped(name, `the file system does not support it (${error.code})`);
    }
  }
}
