/**
 * Extended attributes (xattr(7)); names and values may contain any bytes.
 * The `l` calls take a path and do not follow a symlink at its end; the `f` calls take a descriptor without O_PATH.
 */

import { isKernelError } from "./errno.ts";
import { call, type Path, pathArgument, type SyscallArgument } from "./syscall.ts";
import type { SyscallName } from "./syscall-numbers.ts";

/** XATTR_SIZE_MAX and XATTR_LIST_MAX */
const SIZE_MAX_BYTES = 64 * 1024;

/** A path to the file of an O_PATH descriptor, for calls that refuse such descriptors. */
export function pathOfDescriptor(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

export function lsetxattr(path: Path, name: Path, value: Buffer, flags = 0): void {
  call("lsetxattr", [pathArgument(path), pathArgument(name), value, value.length, flags], path);
}

export function fsetxattr(fd: number, name: Path, value: Buffer, flags = 0): void {
  call("fsetxattr", [fd, pathArgument(name), value, value.length, flags]);
}

/** undefined when the file has no such attribute. */
export function lgetxattr(path: Path, name: Path): Buffer | undefined {
  return readValue("lgetxattr", [pathArgument(path), pathArgument(name)], path);
}

export function fgetxattr(fd: number, name: Path): Buffer | undefined {
  return readValue("fgetxattr", [fd, pathArgument(name)]);
}

/** Names in the kernel's order. */
export function llistxattr(path: Path): Buffer[] {
  return splitNames(readGrowing("llistxattr", [pathArgument(path)], path));
}

export function flistxattr(fd: number): Buffer[] {
  return splitNames(readGrowing("flistxattr", [fd]));
}

export function fremovexattr(fd: number, name: Path): void {
  call("fremovexattr", [fd, pathArgument(name)]);
}

function readValue(name: SyscallName, words: readonly SyscallArgument[], subject?: Path): Buffer | undefined {
  try {
    return readGrowing(name, words, subject);
  } catch (error) {
    if (isKernelError(error, "ENODATA")) return undefined;
    throw error;
  }
}

function readGrowing(name: SyscallName, words: readonly SyscallArgument[], subject?: Path): Buffer {
  const guess = Buffer.alloc(256); // enough for nearly every value and list
  try {
    return guess.subarray(0, call(name, [...words, guess, guess.length], subject));
  } catch (error) {
    if (!isKernelError(error, "ERANGE")) throw error;
  }
  const most = Buffer.alloc(SIZE_MAX_BYTES);
  return Buffer.from(most.subarray(0, call(name, [...words, most, most.length], subject)));
}

function splitNames(list: Buffer): Buffer[] {
  const names: Buffer[] = [];
  for (let start = 0; start < list.length; ) {
    const end = list.indexOf(0, start);
    names.push(list.subarray(start, end));
    start = end + 1;
  }
  return names;
}
