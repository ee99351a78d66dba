/**
 * File-system calls Node has not: paths resolved inside a root, device nodes, nanosecond and negative times, linking a descriptor.
 * Every call names its file by a directory descriptor and a path (openat(2) and its family); paths may be any bytes.
 */
import { constants } from "node:fs";
import { isKernelError } from "./errno.ts";
import { call, type Path, pathWord } from "./syscall.ts";

/** The directory descriptor that means the current directory; absolute paths ignore it. */
export const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_SYMLINK_FOLLOW = 0x400;
const AT_EMPTY_PATH = 0x1000;

// Some of these differ between architectures, so Node's own table is asked where it has them.
export const O_DIRECTORY = constants.O_DIRECTORY;
export const O_NOFOLLOW = constants.O_NOFOLLOW;
export const O_CLOEXEC = 0o2000000;
/** A descriptor that only names the file: no read, no write, no fchmod; fine as a directory descriptor. */
export const O_PATH = 0o10000000;
/** A nameless file in the directory that is opened; `linkDescriptor` gives it a name. */
export const O_TMPFILE = 0o20000000 | O_DIRECTORY;

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
 * Opens `path` as if `rootFd` were the file system's root: absolute symlinks and ".." stay inside, /proc's magic links
 * are refused (openat2(2)). Returns a close-on-exec descriptor that the caller closes; give O_CREAT for `mode` to count.
 */
export function openInRoot(
  rootFd: number,
  path: Path,
  flags: number,
  mode = 0,
  { sameMount = false, noSymlinks = false }: OpenInRootOptions = {},
): number {
  const how = Buffer.alloc(24); // struct open_how { __u64 flags, mode, resolve; }
  const creates = (flags & constants.O_CREAT) !== 0 || (flags & O_TMPFILE) === O_TMPFILE;
  how.writeBigUInt64LE(BigInt((flags | O_CLOEXEC) >>> 0), 0);
  how.writeBigUInt64LE(BigInt(creates ? mode : 0), 8);
  let resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  if (sameMount) resolve |= RESOLVE_NO_XDEV;
  if (noSymlinks) resolve |= RESOLVE_NO_SYMLINKS;
  how.writeUInt32LE(resolve, 16);
  return call("openat2", [rootFd, pathWord(path), how, how.length], path);
}

export function mkdirat(dirFd: number, path: Path, mode: number): void {
  call("mkdirat", [dirFd, pathWord(path), mode], path);
}

export interface DeviceNumber {
  major: number;
  minor: number;
}

/** `mode` carries the type (S_IFCHR, S_IFBLK, S_IFIFO, …) beside the permissions. */
export function mknodat(
  dirFd: number,
  path: Path,
  mode: number,
  device: DeviceNumber = { major: 0, minor: 0 },
): void {
  call("mknodat", [dirFd, pathWord(path), mode, encodeDevice(device)], path);
}

/** The kernel's 32-bit form of a device number (new_encode_dev): twelve bits of major, twenty of minor. */
export function encodeDevice({ major, minor }: DeviceNumber): number {
  if (!(major >= 0 && major < 0x1000 && minor >= 0 && minor < 0x100000)) {
    throw new RangeError(`A device number has 12 bits of major and 20 of minor, got ${major}:${minor}`);
  }
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** `target` is stored as it is, whatever it says. */
export function symlinkat(target: Path, dirFd: number, path: Path): void {
  call("symlinkat", [pathWord(target), dirFd, pathWord(path)], path);
}

/** Hard link; a symlink at `fromPath` is linked itself, not followed. */
export function linkat(fromDirFd: number, fromPath: Path, toDirFd: number, toPath: Path): void {
  call("linkat", [fromDirFd, pathWord(fromPath), toDirFd, pathWord(toPath), 0], toPath);
}

/** Gives the open file a (further) name: for O_TMPFILE, and for a file found by `openInRoot` (needs CAP_DAC_READ_SEARCH). */
export function linkDescriptor(fd: number, toDirFd: number, toPath: Path): void {
  call("linkat", [fd, "", toDirFd, pathWord(toPath), AT_EMPTY_PATH | AT_SYMLINK_FOLLOW], toPath);
}

export function unlinkat(dirFd: number, path: Path, { directory = false } = {}): void {
  call("unlinkat", [dirFd, pathWord(path), directory ? AT_REMOVEDIR : 0], path);
}

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

export function renameat2(fromDirFd: number, fromPath: Path, toDirFd: number, toPath: Path, flags = 0): void {
  call("renameat2", [fromDirFd, pathWord(fromPath), toDirFd, pathWord(toPath), flags], toPath);
}

/** Never follows a symlink; the empty path means `dirFd` itself, which may be O_PATH. Clears set-id bits: chmod after it. */
export function fchownat(dirFd: number, path: Path, uid: number, gid: number): void {
  call("fchownat", [dirFd, pathWord(path), uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH], path);
}

/** All twelve bits. Not for an O_PATH descriptor (EBADF): use `fchmodat` on its `/proc/self/fd` name. */
export function fchmod(fd: number, mode: number): void {
  call("fchmod", [fd, mode]);
}

/** Follows a symlink at the path's end, as the kernel's fchmodat does. */
export function fchmodat(dirFd: number, path: Path, mode: number): void {
  call("fchmodat", [dirFd, pathWord(path), mode], path);
}

/** Seconds since 1970, negative before it; `nsec` is 0 to 999,999,999 and always counts forward. */
export interface FileTime {
  sec: number | bigint;
  nsec: number;
}

/** Sets access and modification time; never follows a symlink; the empty path means `dirFd` itself. */
export function utimensat(dirFd: number, path: Path, atime: FileTime, mtime: FileTime): void {
  const times = Buffer.alloc(32); // struct timespec[2], both words 64 bits wide
  writeTimespec(times, 0, atime);
  writeTimespec(times, 16, mtime);
  // The kernel takes the empty path with AT_EMPTY_PATH only since 5.8's utimensat; all our kernels are newer.
  call("utimensat", [dirFd, pathWord(path), times, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH], path);
}

export function writeTimespec(into: Buffer, offset: number, { sec, nsec }: FileTime): void {
  into.writeBigInt64LE(BigInt(sec), offset);
  into.writeBigInt64LE(BigInt(nsec), offset + 8);
}

/** The bytes a symlink holds; the empty path means the symlink `dirFd` was opened on (O_PATH | O_NOFOLLOW). */
export function readlinkat(dirFd: number, path: Path): Buffer {
  const target = Buffer.alloc(4096); // PATH_MAX: no file system of ours stores a longer one
  return target.subarray(0, call("readlinkat", [dirFd, pathWord(path), target, target.length], path));
}

const LOCK_EX = 2;
const LOCK_NB = 4;

/** Takes the file's exclusive lock, which the kernel drops with the descriptor, so that a dead owner keeps nothing; false when taken. */
export function tryLock(fd: number): boolean {
  try {
    call("flock", [fd, LOCK_EX | LOCK_NB]);
    return true;
  } catch (error) {
    if (isKernelError(error, "EAGAIN")) return false;
    throw error;
  }
}
