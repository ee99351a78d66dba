/**
 * File-system calls that Node lacks: paths resolved inside a root, device nodes, nanosecond and negative times.
 * Every call takes a directory descriptor and a path, like openat(2); a path may contain any bytes but NUL.
 */
import { constants } from "node:fs";
import { isKernelError } from "./errno.ts";
import { call, type Path, pathArgument } from "./syscall.ts";

/** The directory descriptor that means the current directory; absolute paths ignore it. */
export const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;

// Some differ between architectures: Node's table has the right ones.
export const O_DIRECTORY = constants.O_DIRECTORY;
export const O_NOFOLLOW = constants.O_NOFOLLOW;
export const O_CLOEXEC = 0o2000000;
/** The descriptor only refers to the file: no read, write or fchmod; usable as a directory descriptor. */
export const O_PATH = 0o10000000;

const RESOLVE_NO_XDEV = 0x01;
const RESOLVE_NO_MAGICLINKS = 0x02;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_IN_ROOT = 0x10;

export interface OpenInRootOptions {
  /** Do not cross into another mount. */
  sameMount?: boolean;
  /** Refuse symlinks in every part of the path. */
  noSymlinks?: boolean;
}

/**
 * Opens `path` as if `rootFd` were the file system's root: absolute symlinks and ".." stay inside it, /proc's magic links
 * are refused (openat2(2)). Returns a close-on-exec descriptor that the caller closes; `mode` counts only with O_CREAT.
 */
export function openInRoot(
  rootFd: number,
  path: Path,
  flags: number,
  mode = 0,
  { sameMount = false, noSymlinks = false }: OpenInRootOptions = {},
): number {
  const how = Buffer.alloc(24); // struct open_how { __u64 flags, mode, resolve; }
  const creates = (flags & constants.O_CREAT) !== 0;
  how.writeBigUInt64LE(BigInt((flags | O_CLOEXEC) >>> 0), 0);
  how.writeBigUInt64LE(BigInt(creates ? mode : 0), 8);
  let resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  if (sameMount) resolve |= RESOLVE_NO_XDEV;
  if (noSymlinks) resolve |= RESOLVE_NO_SYMLINKS;
  how.writeUInt32LE(resolve, 16);
  return call("openat2", [rootFd, pathArgument(path), how, how.length], path);
}

export function mkdirat(dirFd: number, path: Path, mode: number): void {
  call("mkdirat", [dirFd, pathArgument(path), mode], path);
}

export interface DeviceNumber {
  major: number;
  minor: number;
}

/** `mode` contains the type (S_IFCHR, S_IFBLK, S_IFIFO, …) and the permissions. */
export function mknodat(
  dirFd: number,
  path: Path,
  mode: number,
  device: DeviceNumber = { major: 0, minor: 0 },
): void {
  call("mknodat", [dirFd, pathArgument(path), mode, encodeDevice(device)], path);
}

/** The kernel's 32-bit form of a device number (new_encode_dev): twelve bits of major, twenty of minor. */
export function encodeDevice({ major, minor }: DeviceNumber): number {
  if (!(major >= 0 && major < 0x1000 && minor >= 0 && minor < 0x100000)) {
    throw new RangeError(`A device number has 12 bits of major and 20 of minor, got ${major}:${minor}`);
  }
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** `target` is stored unchanged. */
export function symlinkat(target: Path, dirFd: number, path: Path): void {
  call("symlinkat", [pathArgument(target), dirFd, pathArgument(path)], path);
}

/** Hard link; a symlink at `fromPath` is linked itself, not followed. */
export function linkat(fromDirFd: number, fromPath: Path, toDirFd: number, toPath: Path): void {
  call("linkat", [fromDirFd, pathArgument(fromPath), toDirFd, pathArgument(toPath), 0], toPath);
}

export function unlinkat(dirFd: number, path: Path, { directory = false } = {}): void {
  call("unlinkat", [dirFd, pathArgument(path), directory ? AT_REMOVEDIR : 0], path);
}

export const RENAME_NOREPLACE = 1;

export function renameat2(fromDirFd: number, fromPath: Path, toDirFd: number, toPath: Path, flags = 0): void {
  call("renameat2", [fromDirFd, pathArgument(fromPath), toDirFd, pathArgument(toPath), flags], toPath);
}

/** Never follows a symlink; the empty path means `dirFd` itself, which may be O_PATH. Clears set-id bits: call chmod after it. */
export function fchownat(dirFd: number, path: Path, uid: number, gid: number): void {
  call("fchownat", [dirFd, pathArgument(path), uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH], path);
}

/** Sets all twelve bits. Fails with EBADF on an O_PATH descriptor: use `fchmodat` on its `/proc/self/fd` name. */
export function fchmod(fd: number, mode: number): void {
  call("fchmod", [fd, mode]);
}

/** Follows a symlink at the end of the path. */
export function fchmodat(dirFd: number, path: Path, mode: number): void {
  call("fchmodat", [dirFd, pathArgument(path), mode], path);
}

/** Seconds since 1970, negative before; `nsec` is 0 to 999,999,999 and counts forward. */
export interface FileTime {
  sec: number | bigint;
  nsec: number;
}

/** Sets access and modification time; never follows a symlink; the empty path means `dirFd` itself. */
export function utimensat(dirFd: number, path: Path, atime: FileTime, mtime: FileTime): void {
  const times = Buffer.alloc(32); // struct timespec[2], both fields 64 bits wide
  writeTimespec(times, 0, atime);
  writeTimespec(times, 16, mtime);
  // AT_EMPTY_PATH needs Linux 5.8; all our kernels are newer.
  call("utimensat", [dirFd, pathArgument(path), times, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH], path);
}

export function writeTimespec(into: Buffer, offset: number, { sec, nsec }: FileTime): void {
  into.writeBigInt64LE(BigInt(sec), offset);
  into.writeBigInt64LE(BigInt(nsec), offset + 8);
}

/** The target of a symlink; the empty path means the symlink that `dirFd` was opened on (O_PATH | O_NOFOLLOW). */
export function readlinkat(dirFd: number, path: Path): Buffer {
  const target = Buffer.alloc(4096); // PATH_MAX
  return target.subarray(0, call("readlinkat", [dirFd, pathArgument(path), target, target.length], path));
}

const LOCK_EX = 2;
const LOCK_NB = 4;

/** Takes the file's exclusive lock (flock(2)), which the kernel releases when the owner dies; false when another holds it. */
export function tryLock(fd: number): boolean {
  try {
    call("flock", [fd, LOCK_EX | LOCK_NB]);
    return true;
  } catch (error) {
    if (isKernelError(error, "EAGAIN")) return false;
    throw error;
  }
}

const F_SETPIPE_SZ = 1031;

/** Both ends are close-on-exec; a child process gets one through `stdio`. */
export function createPipe(): { readFd: number; writeFd: number } {
  const fds = Buffer.alloc(8);
  call("pipe2", [fds, O_CLOEXEC]);
  return { readFd: fds.readInt32LE(0), writeFd: fds.readInt32LE(4) };
}

/** Bytes that the pipe holds before a writer blocks; 64 KiB by default. Throws EPERM above the user's limit. */
export function setPipeSize(fd: number, sizeBytes: number): void {
  call("fcntl", [fd, F_SETPIPE_SZ, sizeBytes]);
}
