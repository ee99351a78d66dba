/**
 * Copies owner, mode, attributes and time of a directory from one layer to another.
 * Of a directory that several layers have, overlayfs shows the uppermost: one that only the paths of other members imply must
 * look like the one below.
 */
import { closeSync, fstatSync, openSync } from "node:fs";
import { pathBytes } from "../../archive/tar-entry.ts";
import {
  fchmod,
  fchownat,
  fgetxattr,
  flistxattr,
  fsetxattr,
  isKernelError,
  O_DIRECTORY,
  O_NOFOLLOW,
  openInRoot,
  utimensat,
} from "../../kernel/syscalls.ts";
import { statAt } from "./fs-at.ts";

export const OPAQUE_XATTR = Buffer.from("trusted.overlay.opaque");
const NO_PATH = Buffer.alloc(0);
/** Overlay attributes describe the layer itself; NFSv4 access lists mean nothing to another file system. */
const NOT_COPIED = /^(trusted\.overlay\.|system\.nfs4_)/;

function copyDirectoryMetadata(fromFd: number, toFd: number): void {
  const { uid, gid, mode, mtimeNs } = fstatSync(fromFd, { bigint: true });
  fchownat(toFd, NO_PATH, Number(uid), Number(gid));
  fchmod(toFd, Number(mode & 0o7777n));
  for (const name of flistxattr(fromFd)) {
    if (NOT_COPIED.test(name.toString("latin1"))) continue;
    fsetxattr(toFd, name, fgetxattr(fromFd, name) ?? Buffer.alloc(0));
  }
  const sec = mtimeNs / 1_000_000_000n - (mtimeNs % 1_000_000_000n < 0n ? 1n : 0n);
  const time = { sec, nsec: Number(mtimeNs - sec * 1_000_000_000n) };
  utimensat(toFd, NO_PATH, time, time);
}

/** Both directories must exist. */
export function copyMetadataOfPath(fromPath: string, toPath: string): void {
  const fromFd = openSync(fromPath, O_DIRECTORY);
  const toFd = openSync(toPath, O_DIRECTORY);
  try {
    copyDirectoryMetadata(fromFd, toFd);
  } finally {
    closeSync(fromFd);
    closeSync(toFd);
  }
}

export interface LayerDirectory {
  path: string;
  /** latin1 paths. */
  impliedDirectories: readonly string[];
}

/** Gives each implied directory the metadata of the nearest one below that it does not hide. Layers from the lowest up. */
export function copyMetadataToImplied(layers: readonly LayerDirectory[]): void {
  const fds = layers.map(({ path }) => openSync(path, O_DIRECTORY));
  try {
    for (const [index, { impliedDirectories }] of layers.entries())
      for (const implied of impliedDirectories) copyFromBelow(implied, fds.slice(0, index + 1).reverse());
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

function copyFromBelow(implied: string, [ownFd, ...lowerFds]: readonly number[]): void {
  if (ownFd === undefined || hidesBelow(ownFd, implied)) return;
  for (const lowerFd of lowerFds) {
    const fd = openDirectory(lowerFd, implied);
    if (fd === undefined) {
      if (hidesBelow(lowerFd, implied)) return;
      continue;
    }
    const toFd = openDirectory(ownFd, implied);
    try {
      if (toFd !== undefined) copyDirectoryMetadata(fd, toFd);
    } finally {
      closeSync(fd);
      if (toFd !== undefined) closeSync(toFd);
    }
    return;
  }
}

/** Whether lower directories of the path cannot be seen: it leads through something else, or through an opaque directory. */
function hidesBelow(layerFd: number, path: string): boolean {
  for (let end = path.indexOf("/"); ; end = path.indexOf("/", end + 1)) {
    const part = end < 0 ? path : path.slice(0, end);
    const stats = statAt(layerFd, pathBytes(part));
    if (stats === undefined) return false;
    if (!stats.isDirectory()) return true;
    if (end < 0) return false;
    const fd = openDirectory(layerFd, part)!;
    try {
      if (fgetxattr(fd, OPAQUE_XATTR) !== undefined) return true;
    } finally {
      closeSync(fd);
    }
  }
}

/** undefined when the layer has no such directory. */
function openDirectory(layerFd: number, path: string): number | undefined {
  try {
    return openInRoot(layerFd, pathBytes(path), O_DIRECTORY | O_NOFOLLOW, 0, { noSymlinks: true });
  } catch (error) {
    if (isKernelError(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
    throw error;
  }
}
