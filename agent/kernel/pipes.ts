/**
 * Pipes with both ends in our hands: Node gives its children socket pairs, which nobody can reopen by /dev/stdout.
 */

import { O_CLOEXEC } from "./files.ts";
import { call } from "./syscall.ts";

const F_SETPIPE_SZ = 1031;

/** Both close on exec; a child gets one by naming it in `stdio`. */
export function createPipe(): { readFd: number; writeFd: number } {
  const fds = Buffer.alloc(8);
  call("pipe2", [fds, O_CLOEXEC]);
  return { readFd: fds.readInt32LE(0), writeFd: fds.readInt32LE(4) };
}

/** How much a writer is ahead of its reader before it waits; 64 KiB without this. Throws EPERM above what users may have. */
export function setPipeSize(fd: number, sizeBytes: number): void {
  call("fcntl", [fd, F_SETPIPE_SZ, sizeBytes]);
}
