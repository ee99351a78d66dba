/**
 * Formats the cache device: a labelled ext4 with fs-verity, for sealed objects, and fscrypt, for encrypted volumes.
 * A disk loses its partition table. The kernel refuses while any of the device is in use.
 */
import { execFile } from "node:child_process";
import { closeSync, constants, fsyncSync, openSync, writeSync } from "node:fs";
import { promisify } from "node:util";
import { AgentError } from "../../errors.ts";
import { ioctl } from "../../kernel/syscalls.ts";
import type { BlockDevice } from "./block-devices.ts";

const FEATURES = "verity,encrypt,^metadata_csum_seed";

/** Throws STORE_FORMAT_FAILED. */
export async function formatDevice(device: BlockDevice, label: string): Promise<void> {
  try {
    if (device.disk === undefined) wipePartitionTable(device);
    // 4 KiB on small devices, too: fs-verity and fscrypt need it.
    const layout = ["-b", "4096", "-O", FEATURES, "-L", label];
    await promisify(execFile)("mkfs.ext4", ["-q", "-F", ...layout, device.path]);
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw new AgentError(
      "STORE_FORMAT_FAILED",
      `Cannot format ${describeDevice(device)}: ${stderr?.trim() || message}`,
      { cause: error },
    );
  }
}

/** GPT uses 33 sectors at both ends: less than this with sectors of any size. */
const TABLE_BYTES = 1024 * 1024;
const BLKRRPART = 0x125f;

function wipePartitionTable({ path, sizeBytes, isPartitioned }: BlockDevice): void {
  // O_EXCL fails while any of the device is in use.
  const fd = openSync(path, constants.O_RDWR | constants.O_EXCL);
  try {
    const zeros = Buffer.alloc(TABLE_BYTES);
    for (const position of [0, Math.max(0, sizeBytes - TABLE_BYTES)]) {
      writeSync(fd, zeros, 0, Math.min(TABLE_BYTES, sizeBytes), position);
    }
    fsyncSync(fd);
    if (isPartitioned) ioctl(fd, BLKRRPART);
  } finally {
    closeSync(fd);
  }
}

export function describeDevice({ path, model, sizeBytes, label }: BlockDevice): string {
  const name = label ? `, label ${label}` : "";
  return `${path} (${model}, ${(sizeBytes / 1e9).toFixed(1)} GB${name})`;
}
