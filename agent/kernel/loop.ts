/**
 * Loop devices: a file as a block device. LOOP_CONFIGURE (Linux 5.8) sets everything up in one call.
 * Layouts from include/uapi/linux/loop.h; the same on x86_64 and arm64.
 */
import { closeSync, constants, openSync } from "node:fs";
import { isKernelError } from "./errno.ts";
import { O_CLOEXEC } from "./files.ts";
import { ioctl } from "./machine.ts";

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
