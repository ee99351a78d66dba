/**
 * Terminals: opens the other side of a pseudo-terminal without its path (its devpts may be in another mount namespace),
 * and reads the speed of a serial line.
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

/** Opens the terminal of a master, not as controlling terminal; the caller closes it. */
export function openTerminalOf(masterFd: number): number {
  return call("ioctl", [masterFd, TIOCGPTPEER, constants.O_RDWR | constants.O_NOCTTY | O_CLOEXEC]);
}

/** Bytes per second by the line's settings: 11,520 at 115,200 baud. Throws ENOTTY when `fd` is not a terminal. */
export function readLineRate(fd: number): number {
  const termios = Buffer.alloc(TERMIOS2_BYTES);
  call("ioctl", [fd, TCGETS2, termios]);
  const flags = termios.readUInt32LE(CONTROL_FLAGS_AT);
  const dataBits = 5 + ((flags & CSIZE) >> 4);
  const bits = 1 + dataBits + (flags & PARENB ? 1 : 0) + (flags & CSTOPB ? 2 : 1);
  return termios.readUInt32LE(OUTPUT_SPEED_AT) / bits;
}
