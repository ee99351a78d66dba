/**
 * All typed system calls in one import. Only this folder knows system call numbers, flags and struct layouts.
 */

export { isKernelError } from "./errno.ts";
export * from "./files.ts";
export * from "./fscrypt.ts";
export * from "./hash-threads.ts";
export * from "./machine.ts";
export * from "./mount.ts";
export * from "./network-block-device.ts";
export * from "./sockets.ts";
export type { Path } from "./syscall.ts";
export * from "./verity.ts";
export * from "./xattrs.ts";
