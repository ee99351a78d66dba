/**
 * Terminals: the other side of a pseudo-terminal, without a path to it (its devpts may be mounted in another namespace only),
 * and the speed of a serial line.
 */
import { constants } from "node:fs";
import { O_CLOEXEC } from "./files.ts";
import { call } from "./syscall.ts";

/** ioctl_tty(2), include/uapi/asm-generic/ioctls.h: _IO('T', 0x41) and _IOR('T', 0x2A, struct termios2) */
const TIOCGPTPEER = 0x5441;
const TCGETS2 = 0x802c542a;
/** struct termios2, include/uapi/asm-generic/termbits.h: four flag words, c_line, 19 control characters, two speeds */
const TERMIOS2_BYTES = 44;
const CONTROL_FLAGS_AT = 8;
const OUTPUT_SPEED_AT = 40;
const CSIZE = 0x30;
const CSTOPB = 0x40;
const PARENB = 0x100;

/** Opens the terminal that belongs to a master; the caller closes it, and never gets it as his controlling terminal. */
export function openTerminalOf(masterFd: number): number {
  return call("ioctl", [masterFd, TIOCGPTPEER, constants.O_RDWR | constants.O_NOCTTY | O_CLOEXEC]);
}

/** What the line carries in a second by its settings: 11,520 bytes at 115200 baud. Throws ENOTTY for what is no terminal. */
export function readLineRate(fd: number): number {
  const termios = Buffer.alloc(TERMIOS2_BYTES);
  call("ioctl", [fd, TCGETS2, termios]);
  const flags = termios.readUInt32LE(CONTROL_FLAGS_AT);
  const dataBits = 5 + ((flags & CSIZE) >> 4);
  const bits = 1 + dataBits + (flags & PARENB ? 1 : 0) + (flags & CSTOPB ? 2 : 1);
  return termios.readUInt32LE(OUTPUT_SPEED_AT) / bits;
}
