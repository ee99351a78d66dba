/**
 * Calls that act on the whole machine: clock, disks, power, serial lines, memory.
 * Numbers from the kernel's include/uapi.
 */

import { writeTimespec } from "./files.ts";
import { call, callAsync, loadSysModule, type SyscallArgument } from "./syscall.ts";

const CLOCK_REALTIME = 0;

/** `epochMs` may have a fraction. */
export function setClock(epochMs: number): void {
  const time = Buffer.alloc(16);
  const sec = Math.floor(epochMs / 1000);
  writeTimespec(time, 0, { sec, nsec: Math.floor((epochMs - sec * 1000) * 1e6) });
  call("clock_settime", [CLOCK_REALTIME, time]);
}

/** Writes back all file systems. */
export async function syncAll(): Promise<void> {
  await callAsync("sync", []);
}

/** Writes back the file system of `fd`, and reports write errors since `fd` was opened. */
export async function syncfs(fd: number): Promise<void> {
  await callAsync("syncfs", [fd]);
}

const REBOOT_MAGIC = [0xfee1dead, 0x28121969] as const;
const REBOOT_COMMANDS = { poweroff: 0x4321fedc, restart: 0x01234567, halt: 0xcdef0123 } as const;

/** Acts at once, without syncing; returns only in a PID namespace of its own. */
export function reboot(command: keyof typeof REBOOT_COMMANDS): void {
  call("reboot", [...REBOOT_MAGIC, REBOOT_COMMANDS[command], null]);
}

export function setHostname(name: string): void {
  call("sethostname", [name, Buffer.byteLength(name)], name);
}

/** `argument` is a number, or memory that the request reads or writes. */
export function ioctl(fd: number, request: number, argument: SyscallArgument = 0): number {
  return call("ioctl", [fd, request, argument]);
}

export async function ioctlAsync(
  fd: number,
  request: number,
  argument: SyscallArgument = 0,
): Promise<number> {
  return callAsync("ioctl", [fd, request, argument]);
}

const TCSBRK = 0x5409;

/** Waits until the terminal has sent everything (tcdrain(3)); flow control may block it without limit. */
export async function drainTerminal(fd: number): Promise<void> {
  await ioctlAsync(fd, TCSBRK, 1);
}

/** Returns memory that glibc's allocator holds free to the kernel; takes some milliseconds. */
export function trimMemory(): void {
  loadSysModule().trimMemory();
}
