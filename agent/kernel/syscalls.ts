/**
 * Every typed system call by one import; the files beside this one hold them by subject.
 * This folder is the only place that knows numbers, flags and struct layouts.
 */

export { isKernelError } from "./errno.ts";
export * from "./files.ts";
export * from "./fscrypt.ts";
export * from "./hash-threads.ts";
export * from "./loop.ts";
export * from "./machine.ts";
export * from "./memory.ts";
export * from "./mount.ts";
export * from "./network-block-device.ts";
export * from "./pipes.ts";
export * from "./sockets.ts";
export type { Path } from "./syscall.ts";
export * from "./verity.ts";
export * from "./verity-hasher.ts";
export * from "./xattrs.ts";
