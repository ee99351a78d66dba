/**
 * Makes system calls through sys.node (native/sys.c) and turns a result of -errno into a KernelError.
 * The typed wrappers in this folder use `call` or, where the kernel may block for long, `callAsync`.
 */
import { createRequire } from "node:module";
import { KernelError } from "./errno.ts";
import { getSyscallNumber, type SyscallName } from "./syscall-numbers.ts";

/** A string is passed as UTF-8; a Buffer byte for byte, without a terminating NUL. */
export type Path = string | Buffer;

/** An integer, memory that the kernel reads or writes, a string that it reads, or a null pointer. */
export type SyscallArgument = number | bigint | Uint8Array | string | null;

interface SysModule {
  syscall(number: number, ...args: SyscallArgument[]): number;
  syscallAsync(number: number, ...args: SyscallArgument[]): Promise<number>;
  trimMemory(): void;
  /** Typed in hash-threads.ts. */
  startThread(folderFd: number, takesSha256: boolean): object;
  pushBuffer(thread: object, bytes: Uint8Array, pieces: Int32Array | null): number;
  endThread(thread: object): Buffer | number;
  /** Typed in verity.ts. */
  updateVerity(state: Uint8Array, bytes: Uint8Array): void;
  finishVerity(state: Uint8Array, digest: Uint8Array): void;
}

let sysModule: SysModule | undefined;

/** Loads sys.node at the first call: code that only needs a type or an error class also runs where it was not built. */
export function loadSysModule(): SysModule {
  sysModule ??= createRequire(import.meta.url)("./sys.node") as SysModule;
  return sysModule;
}

const NUL = Buffer.alloc(1);
const EINTR = 4;
const EAGAIN = 11;
const EINVAL = 22;
/** openat2(2) returns EAGAIN when ".." raced with a rename; the manual page says to try again. */
const MAX_TRIES = 32;

/** The argument for a path: NUL-terminated; a path with a NUL inside is refused. */
export function pathArgument(path: Path): SyscallArgument {
  if (typeof path === "string") return path;
  if (path.includes(0)) throw new KernelError("path", EINVAL, path.toString("latin1"));
  return Buffer.concat([path, NUL]);
}

/** The kernel's result, never negative. Throws KernelError; `subject` is what its message names. */
export function call(name: SyscallName, args: readonly SyscallArgument[], subject?: Path): number {
  const number = getSyscallNumber(name);
  for (let tries = 1; ; tries++) {
    const result = loadSysModule().syscall(number, ...args);
    if (result >= 0) return result;
    if (!mayRetry(name, -result, tries)) throw new KernelError(name, -result, subject?.toString());
  }
}

/** As `call`, in a thread of libuv's pool; the memory of the arguments must not change before the promise settles. */
export async function callAsync(
  name: SyscallName,
  args: readonly SyscallArgument[],
  subject?: Path,
): Promise<number> {
  const number = getSyscallNumber(name);
  for (let tries = 1; ; tries++) {
    const result = await loadSysModule().syscallAsync(number, ...args);
    if (result >= 0) return result;
    if (!mayRetry(name, -result, tries)) throw new KernelError(name, -result, subject?.toString());
  }
}

function mayRetry(name: SyscallName, errno: number, tries: number): boolean {
  return tries < MAX_TRIES && (errno === EINTR || (name === "openat2" && errno === EAGAIN));
}
