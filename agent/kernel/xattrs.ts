/**
 * Extended attributes, byte for byte, in names and values (xattr(7)).
 * The `l` calls take a path and never follow a symlink at its end; the `f` calls take an ordinary descriptor, not O_PATH.
 */

import { isKernelError } from "./errno.ts";
import { call, type Path, pathWord, type Word } from "./syscall.ts";
import type { SyscallName } from "./syscall-numbers.ts";

/** For a value that nobody limits to less: XATTR_SIZE_MAX and XATTR_LIST_MAX. */
const SIZE_MAX_BYTES = 64 * 1024;

/** A path that reaches the very file of an O_PATH descriptor, for calls that refuse such descriptors. */
export function pathOfDescriptor(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

export function lsetxattr(path: Path, name: Path, value: Buffer, flags = 0): void {
  call("lsetxattr", [pathWord(path), pathWord(name), value, value.length, flags], path);
}

export function fsetxattr(fd: number, name: Path, value: Buffer, flags = 0): void {
  call("fsetxattr", [fd, pathWord(name), value, value.length, flags]);
}

/** undefined where the file has no such attribute. */
export function lgetxattr(path: Path, name: Path): Buffer | undefined {
  return readValue("lgetxattr", [pathWord(path), pathWord(name)], path);
}

export function fgetxattr(fd: number, name: Path): Buffer | undefined {
  return readValue("fgetxattr", [fd, pathWord(name)]);
}

/** The names in the kernel's order. */
export function llistxattr(path: Path): Buffer[] {
  return splitNames(readGrowing("llistxattr", [pathWord(path)], path));
}

export function flistxattr(fd: number): Buffer[] {
  return splitNames(readGrowing("flistxattr", [fd]));
}

export function fremovexattr(fd: number, name: Path): void {
  call("fremovexattr", [fd, pathWord(name)]);
}

function readValue(name: SyscallName, words: readonly Word[], subject?: Path): Buffer | undefined {
  try {
    return readGrowing(name, words, subject);
  } catch (error) {
    if (isKernelError(error, "ENODATA")) return undefined;
    throw error;
  }
}

function readGrowing(name: SyscallName, words: readonly Word[], subject?: Path): Buffer {
  const guess = Buffer.alloc(256); // nearly every value and list fits
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
