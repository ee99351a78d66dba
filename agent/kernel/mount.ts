/**
 * Mounting by mount(2), and by the mount API of Linux 5.2 where option strings are too short for many layers.
 * Paths may be any bytes; a refusal throws KernelError with the target or the option in its message.
 */
import { closeSync } from "node:fs";
import { AT_FDCWD } from "./files.ts";
import { call, callAsync, type Path, pathWord, type Word } from "./syscall.ts";

/** More of these are in include/uapi/linux/mount.h; those are here that somebody needs. */
export const MS_RDONLY = 1;
export const MS_BIND = 4096;

export interface MountRequest {
  /** A device, a directory to bind, or any name for file systems that have no source. */
  source?: Path;
  target: Path;
  /** "overlay", "tmpfs", …; not for binds and moves. */
  type?: string;
  /** MS_… */
  flags?: number;
  /** Comma-separated options; at most 4,095 bytes. */
  data?: Path;
}

/** The kernel copies one page of options and would silently cut the rest; 4,095 bytes is what fits with the NUL. */
const DATA_MAX_BYTES = 4095;

export function mount(request: MountRequest): void {
  call("mount", mountWords(request), request.target);
}

/** As `mount`, off the main thread: for devices and file systems that may take long. */
export async function mountAsync(request: MountRequest): Promise<void> {
  await callAsync("mount", mountWords(request), request.target);
}

function mountWords({ source = "none", target, type, flags = 0, data }: MountRequest): Word[] {
  if (data !== undefined && Buffer.byteLength(data) > DATA_MAX_BYTES) {
    throw new RangeError(`mount(2) takes ${DATA_MAX_BYTES} bytes of options, got ${Buffer.byteLength(data)}`);
  }
  return [
    pathWord(source),
    pathWord(target),
    type ?? null,
    flags,
    data === undefined ? null : pathWord(data),
  ];
}

const MNT_FORCE = 1;
const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

export interface UmountOptions {
  /** Detach now, clean up when the last user is gone. */
  lazy?: boolean;
  /** Abort pending requests of a network file system. */
  force?: boolean;
}

export function umount(target: Path, options: UmountOptions = {}): void {
  call("umount2", [pathWord(target), umountFlags(options)], target);
}

function umountFlags({ lazy = false, force = false }: UmountOptions): number {
  return UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0) | (force ? MNT_FORCE : 0);
}

const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_SET_FD = 5;
const FSCONFIG_CMD_CREATE = 6;
const MOVE_MOUNT_F_EMPTY_PATH = 4;

/** A context for a new file system of `type`; the caller closes the descriptor. */
function fsopen(type: string): number {
  return call("fsopen", [type, FSOPEN_CLOEXEC], type);
}

/** Sets one option: `true` for a flag, a path or text for a string, `{ fd }` for a descriptor. */
function fsconfigSet(contextFd: number, key: string, value: true | Path | { fd: number }): void {
  if (value === true) call("fsconfig", [contextFd, FSCONFIG_SET_FLAG, key, null, 0], key);
  else if (typeof value === "string" || Buffer.isBuffer(value)) {
    call("fsconfig", [contextFd, FSCONFIG_SET_STRING, key, pathWord(value), 0], key);
  } else call("fsconfig", [contextFd, FSCONFIG_SET_FD, key, null, value.fd], key);
}

/** Makes the superblock from the options set so far. */
function fsconfigCreate(contextFd: number): void {
  call("fsconfig", [contextFd, FSCONFIG_CMD_CREATE, null, null, 0]);
}

/** A detached mount of the context's superblock; the caller closes the descriptor after `moveMount`. */
function fsmount(contextFd: number, attributes = 0): number {
  return call("fsmount", [contextFd, FSMOUNT_CLOEXEC, attributes]);
}

/** Attaches a detached mount at `target`. */
function moveMount(mountFd: number, target: Path): void {
  call("move_mount", [mountFd, "", AT_FDCWD, pathWord(target), MOVE_MOUNT_F_EMPTY_PATH], target);
}

export interface MountByOptions {
  type: string;
  target: Path;
  /** In this order; overlay's `lowerdir+` comes once a layer. */
  options: readonly (readonly [key: string, value: true | Path | { fd: number }])[];
  /** MOUNT_ATTR_… */
  attributes?: number;
}

/** The whole path through the new API: open, set every option, create, mount, attach. */
export function mountByOptions({ type, target, options, attributes = 0 }: MountByOptions): void {
  const contextFd = fsopen(type);
  try {
    for (const [key, value] of options) fsconfigSet(contextFd, key, value);
    fsconfigCreate(contextFd);
    const mountFd = fsmount(contextFd, attributes);
    try {
      moveMount(mountFd, target);
    } finally {
      closeSync(mountFd);
    }
  } finally {
    closeSync(contextFd);
  }
}
