/**
 * The other side of a pseudo-terminal, without a path to it: its devpts may be mounted in another namespace only.
 */
import { constants } from "node:fs";
import { call } from "./door.ts";
import { O_CLOEXEC } from "./files.ts";

/** ioctl_tty(2), include/uapi/asm-generic/ioctls.h: _IO('T', 0x41) */
const TIOCGPTPEER = 0x5441;

/** Opens the terminal that belongs to a master; the caller closes it, and never gets it as his controlling terminal. */
export function openTerminalOf(masterFd: number): number {
  return call("ioctl", [masterFd, TIOCGPTPEER, constants.O_RDWR | constants.O_NOCTTY | O_CLOEXEC]);
}
