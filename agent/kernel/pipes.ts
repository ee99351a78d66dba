/**
 * Pipes: Node gives child processes socket pairs, which cannot be reopened as /dev/stdout.
 */

import { O_CLOEXEC } from "./files.ts";
import { call } from "./syscall.ts";

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
