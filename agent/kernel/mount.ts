/**
 * Mounts by mount(2), and by the mount API of Linux 5.2 where mount(2)'s option string is too short for many layers.
 * A KernelError names the target or the option.
 */
import { closeSync } from "node:fs";
import { AT_FDCWD } from "./files.ts";
import { call, callAsync, type Path, pathArgument, type SyscallArgument } from "./syscall.ts";

/** From include/uapi/linux/mount.h. */
export const MS_RDONLY = 1;
export const MS_BIND = 4096;

export interface MountRequest {
  /** A device, a directory to bind, or any name for a file system without a source. */
  source?: Path;
  target: Path;
  /** "overlay", "tmpfs", …; absent for a bind. */
  type?: string;
  /** MS_… */
  flags?: number;
  /** Comma-separated options; at most 4,095 bytes. */
  data?: Path;
}

/** The kernel reads one page of options and silently drops the rest; 4,095 bytes fit with the NUL. */
const DATA_MAX_BYTES = 4095;

export function mount(request: MountRequest): void {
  call("mount", mountArguments(request), request.target);
}

/** As `mount`, without blocking the main thread: for slow devices and network file systems. */
export async function mountAsync(request: MountRequest): Promise<void> {
  await callAsync("mount", mountArguments(request), request.target);
}

function mountArguments({ source = "none", target, type, flags = 0, data }: MountRequest): SyscallArgument[] {
  if (data !== undefined && Buffer.byteLength(data) > DATA_MAX_BYTES) {
    throw new RangeError(`mount(2) takes ${DATA_MAX_BYTES} bytes of options, got ${Buffer.byteLength(data)}`);
  }
  return [
    pathArgument(source),
    pathArgument(target),
    type ?? null,
    flags,
    data === undefined ? null : pathArgument(data),
  ];
}

const MNT_FORCE = 1;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

export interface UmountOptions {
  /** Detach now; the kernel unmounts when the last user closes it. */
  lazy?: boolean;
  /** Abort pending requests of a network file system. */
  force?: boolean;
}

export function umount(target: Path, options: UmountOptions = {}): void {
  call("umount2", [pathArgument(target), umountFlags(options)], target);
}

function umountFlags({ lazy = false, force = false }: UmountOptions): number {
  return UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0) | (force ? MNT_FORCE : 0);
}

const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_CMD_CREATE = 6;
const MOVE_MOUNT_F_EMPTY_PATH = 4;

export interface MountByOptions {
  type: string;
  target: Path;
  /** In this order; overlay takes one `lowerdir+` per layer. */
  options: readonly (readonly [key: string, value: Path])[];
}

/** The mount API of Linux 5.2: fsopen, one fsconfig per option, create, fsmount, move_mount. */
export function mountByOptions({ type, target, options }: MountByOptions): void {
  const contextFd = call("fsopen", [type, FSOPEN_CLOEXEC], type);
  try {
    for (const [key, value] of options)
      call("fsconfig", [contextFd, FSCONFIG_SET_STRING, key, pathArgument(value), 0], key);
    call("fsconfig", [contextFd, FSCONFIG_CMD_CREATE, null, null, 0]);
    const mountFd = call("fsmount", [contextFd, FSMOUNT_CLOEXEC, 0]);
    try {
      call("move_mount", [mountFd, "", AT_FDCWD, pathArgument(target), MOVE_MOUNT_F_EMPTY_PATH], target);
    } finally {
      closeSync(mountFd);
    }
  } finally {
    closeSync(contextFd);
  }
}
