/**
 * Names for the kernel's error numbers, and the error every refused system call becomes.
 * Numbers as in include/uapi/asm-generic/errno*.h, which x86_64 and arm64 share.
 */
import { constants } from "node:os";

/** Numbers that libuv, and so Node, has no name for, but file systems and modules do give. */
const MORE_NAMES: readonly (readonly [string, number])[] = [
  ["ENOTBLK", 15],
  ["EUCLEAN", 117],
  ["EREMOTEIO", 121],
  ["ENOMEDIUM", 123],
  ["EMEDIUMTYPE", 124],
  ["ECANCELED", 125],
  ["ENOKEY", 126],
  ["EKEYEXPIRED", 127],
  ["EKEYREVOKED", 128],
  ["EKEYREJECTED", 129],
];

// Of two names for one number (EAGAIN and EWOULDBLOCK) the first stays.
const NAMES = new Map<number, string>();
for (const [name, errno] of [...Object.entries(constants.errno), ...MORE_NAMES]) {
  if (!NAMES.has(errno)) NAMES.set(errno, name);
}

/** "ENOENT" for 2; "E999" for a number nobody named. */
export function nameErrno(errno: number): string {
  return NAMES.get(errno) ?? `E${errno}`;
}

/** A system call the kernel refused. Adapters turn it into an AgentError that says what they were about. */
export class KernelError extends Error {
  /** "ENOENT", "EBUSY", …: compare this. */
  readonly code: string;
  readonly errno: number;
  /** "mount", "openat2", … */
  readonly syscall: string;

  constructor(syscall: string, errno: number, subject?: string) {
    const code = nameErrno(errno);
    super(`${syscall}${subject === undefined ? "" : ` "${subject}"`}: ${code}`);
    this.name = "KernelError";
    this.code = code;
    this.errno = errno;
    this.syscall = syscall;
  }
}

export function isKernelError(thrown: unknown, ...codes: readonly string[]): thrown is KernelError {
  return thrown instanceof KernelError && (codes.length === 0 || codes.includes(thrown.code));
}
