/**
 * Seals objects with fs-verity if the file system supports it: then the kernel checks every read.
 */
import { closeSync, constants, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { enableVerity, isKernelError } from "../kernel/syscalls.ts";
import { SEALS_AT_A_TIME } from "./limits.ts";

/** Tries it with a file; ext4 without the feature, tmpfs and kernels without fs-verity refuse. */
export async function canSeal(folder: string): Promise<boolean> {
  const path = join(folder, "seal-probe");
  writeFileSync(path, "dutboot");
  try {
    await seal(path);
    return true;
  } catch (error) {
    if (isKernelError(error, "ENOTTY", "ENOTSUP", "EINVAL")) return false;
    throw error;
  } finally {
    rmSync(path, { force: true });
  }
}

/** The files must be closed. The kernel hashes them again. */
export async function sealAll(paths: Iterable<string>): Promise<void> {
  const waiting = paths[Symbol.iterator]();
  const sealNext = async () => {
    for (let next = waiting.next(); !next.done; next = waiting.next()) await seal(next.value);
  };
  await Promise.all(Array.from({ length: SEALS_AT_A_TIME }, sealNext));
}

async function seal(path: string): Promise<void> {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    await enableVerity(fd);
  } finally {
    closeSync(fd);
  }
}
