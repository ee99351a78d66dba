/**
 * Calls the kernel through sys.node (sys.c and the other C files beside this one) and turns -errno into a KernelError.
 * Everything typed in this folder goes through `call` or, where the kernel may take long, `callAsync`.
 */
import { createRequire } from "node:module";
import { KernelError } from "./errno.ts";
import { getSyscallNumber, type SyscallName } from "./syscall-numbers.ts";

/** A string goes as UTF-8; a Buffer is taken byte for byte, without a NUL at its end. */
export type Path = string | Buffer;

/** Integers, memory the kernel reads or writes, strings it reads, null pointers. */
export type Word = number | bigint | Uint8Array | string | null;

interface Door {
  syscall(number: number, ...words: Word[]): number;
  syscallAsync(number: number, ...words: Word[]): Promise<number>;
  trimMemory(): void;
  /** Of lanes.ts, verity-hasher.ts and line-survey.ts, which give them types of their own. */
  openLane(folderFd: number, takesSha256: boolean): object;
  pushLane(lane: object, bytes: Uint8Array, pieces: Int32Array | null): number;
  endLane(lane: object): Buffer | number;
  updateVerity(state: Uint8Array, bytes: Uint8Array): void;
  finishVerity(state: Uint8Array, digest: Uint8Array): void;
}

let door: Door | undefined;

// Loaded at the first call, so that code which only needs a type or an error class runs where sys.node was not built.
export function openDoor(): Door {
  door ??= createRequire(import.meta.url)("./sys.node") as Door;
  return door;
}

const NUL = Buffer.alloc(1);
const EINTR = 4;
const EAGAIN = 11;
const EINVAL = 22;
/** openat2 gives EAGAIN when a rename elsewhere raced with "..": trying again is its documentation's advice. */
const RACE_TRIES = 32;

/** The word for a path: NUL-terminated, refused when it has a NUL inside. */
export function pathWord(path: Path): Word {
  if (typeof path === "string") return path;
  if (path.includes(0)) throw new KernelError("path", EINVAL, path.toString("latin1"));
  return Buffer.concat([path, NUL]);
}

/** The kernel's result, never negative; a refusal throws KernelError. `subject` is what the message names. */
export function call(name: SyscallName, words: readonly Word[], subject?: Path): number {
  const number = getSyscallNumber(name);
  for (let tries = 1; ; tries++) {
    const result = openDoor().syscall(number, ...words);
    if (result >= 0) return result;
    if (!isWorthAnotherTry(name, -result, tries)) throw new KernelError(name, -result, subject?.toString());
  }
}

/** As `call`, on a worker thread; the memory behind the words must not be touched before the promise settles. */
export async function callAsync(name: SyscallName, words: readonly Word[], subject?: Path): Promise<number> {
  const number = getSyscallNumber(name);
  for (let tries = 1; ; tries++) {
    const result = await openDoor().syscallAsync(number, ...words);
    if (result >= 0) return result;
    if (!isWorthAnotherTry(name, -result, tries)) throw new KernelError(name, -result, subject?.toString());
  }
}

function isWorthAnotherTry(name: SyscallName, errno: number, tries: number): boolean {
  if (tries >= RACE_TRIES) return false;
  return errno === EINTR || (name === "openat2" && errno === EAGAIN);
}
