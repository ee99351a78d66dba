/**
 * Names of the kernel's error numbers, and the error that a failed system call throws.
 * Numbers as in include/uapi/asm-generic/errno*.h, which x86_64 and arm64 share.
 */
import { constants } from "node:os";

/** Names that Node's table lacks, or lists after another name of the same number; Node's own errors call 95 ENOTSUP. */
const KERNEL_NAMES: readonly (readonly [string, number])[] = [
  ["EAGAIN", 11],
  ["ENOTSUP", 95],
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

const NAMES = new Map<number, string>();
for (const [name, errno] of [...KERNEL_NAMES, ...Object.entries(constants.errno)]) {
  if (!NAMES.has(errno)) NAMES.set(errno, name);
}

/** "ENOENT" for 2; "E999" for an unknown number. */
export function nameErrno(errno: number): string {
  return NAMES.get(errno) ?? `E${errno}`;
}

/** A failed system call. Adapters turn it into an AgentError that says what they tried to do. */
export class KernelError extends Error {
  /** "ENOENT", "EBUSY", … */
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
