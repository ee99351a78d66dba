/**
 * Mounts by mount(2), and by the mount API of Linux 5.2 where mount(2)'s option string is too short for many layers.
 * A KernelError names the target or the option.
 */
import { closeSync, constants, openSync } from "node:fs";
import { isKernelError } from "./errno.ts";
import { AT_FDCWD, O_CLOEXEC } from "./files.ts";
import { ioctl } from "./machine.ts";
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

const LOOP_CONFIGURE = 0x4c0a;
const LOOP_CTL_GET_FREE = 0x4c82;

const LO_FLAGS_READ_ONLY = 1;
const LO_FLAGS_AUTOCLEAR = 4;
const LO_FLAGS_DIRECT_IO = 16;

const CONFIG_SIZE = 304; // struct loop_config: fd, block_size, loop_info64 (232), reserved
const FLAGS_OFFSET = 8 + 52; // loop_info64.lo_flags
const FILE_NAME_OFFSET = 8 + 56; // loop_info64.lo_file_name, 64 bytes, shown by losetup

/** Another process may take the free device between LOOP_CTL_GET_FREE and LOOP_CONFIGURE. */
const CLAIM_TRIES = 64;

export interface LoopOptions {
  readOnly?: boolean;
  /** Bypasses the page cache of the file; its file system must support that. */
  directIo?: boolean;
  /** 512 to 4096; the kernel's default where absent. */
  blockSizeBytes?: number;
}

export interface LoopDevice {
  path: string;
  /** Closes the device; the kernel detaches it (autoclear) once it is neither open nor mounted. */
  close(): void;
}

/** Attaches a free loop device to the file. The caller may close `fileFd` at once and must `close` the device. */
export function attachLoop(
  fileFd: number,
  { readOnly = true, directIo = false, blockSizeBytes = 0 }: LoopOptions = {},
): LoopDevice {
  const config = Buffer.alloc(CONFIG_SIZE);
  config.writeUInt32LE(fileFd, 0);
  config.writeUInt32LE(blockSizeBytes, 4);
  const flags =
    (readOnly ? LO_FLAGS_READ_ONLY : 0) | (directIo ? LO_FLAGS_DIRECT_IO : 0) | LO_FLAGS_AUTOCLEAR;
  config.writeUInt32LE(flags, FLAGS_OFFSET);
  config.write("dutboot", FILE_NAME_OFFSET, "latin1");

  const controlFd = openSync("/dev/loop-control", constants.O_RDWR | O_CLOEXEC);
  try {
    for (let tries = 1; ; tries++) {
      const path = `/dev/loop${ioctl(controlFd, LOOP_CTL_GET_FREE)}`;
      const deviceFd = openSync(path, (readOnly ? constants.O_RDONLY : constants.O_RDWR) | O_CLOEXEC);
      try {
        ioctl(deviceFd, LOOP_CONFIGURE, config);
        return { path, close: () => closeSync(deviceFd) };
      } catch (error) {
        closeSync(deviceFd);
        if (!isKernelError(error, "EBUSY") || tries >= CLAIM_TRIES) throw error;
      }
    }
  } finally {
    closeSync(controlFd);
  }
}
