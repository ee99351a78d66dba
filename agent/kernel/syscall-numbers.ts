/**
 * Numbers of the system calls that the agent makes, per architecture.
 * From the kernel's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
 */

/** `[x86_64, arm64]`; from 424 on every architecture shares one number. */
const NUMBERS = {
  ioctl: [16, 29],
  connect: [42, 203],
  setsockopt: [54, 208],
  pipe2: [293, 59],
  socket: [41, 198],
  bind: [49, 200],
  listen: [50, 201],
  accept4: [288, 242],
  recvmsg: [47, 212],
  shutdown: [48, 210],
  memfd_create: [319, 279],
  mmap: [9, 222],
  munmap: [11, 215],
  flock: [73, 32],
  fcntl: [72, 25],
  sync: [162, 81],
  syncfs: [306, 267],
  mount: [165, 40],
  umount2: [166, 39],
  reboot: [169, 142],
  clock_settime: [227, 112],
  sethostname: [170, 161],
  mkdirat: [258, 34],
  mknodat: [259, 33],
  symlinkat: [266, 36],
  linkat: [265, 37],
  unlinkat: [263, 35],
  renameat2: [316, 276],
  readlinkat: [267, 78],
  fchownat: [260, 54],
  fchmod: [91, 52],
  fchmodat: [268, 53],
  utimensat: [280, 88],
  lsetxattr: [189, 6],
  fsetxattr: [190, 7],
  lgetxattr: [192, 9],
  fgetxattr: [193, 10],
  llistxattr: [195, 12],
  flistxattr: [196, 13],
  fremovexattr: [199, 16],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  openat2: [437, 437],
} as const satisfies Record<string, readonly [number, number]>;

export type SyscallName = keyof typeof NUMBERS;

/** Throws on an unknown architecture. */
export function getSyscallNumber(name: SyscallName, architecture: string = process.arch): number {
  if (architecture === "x64") return NUMBERS[name][0];
  if (architecture === "arm64") return NUMBERS[name][1];
  throw new TypeError(`Cannot make system calls on "${architecture}": only x64 and arm64 are supported`);
}
