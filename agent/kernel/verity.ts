/**
 * fs-verity: enables it on a file, reads the digest that the kernel enforces, and computes digests of bytes.
 * Layouts from include/uapi/linux/fsverity.h; the same on x86_64 and arm64.
 */

import { ioctlAsync } from "./machine.ts";
import { call, loadSysModule } from "./syscall.ts";

const FS_IOC_ENABLE_VERITY = 0x40806685;
const FS_IOC_MEASURE_VERITY = 0xc0046686;
const HASH_ALGORITHMS = { sha256: 1, sha512: 2 } as const;

export type VerityAlgorithm = keyof typeof HASH_ALGORITHMS;

/** Seals the file behind a read-only descriptor, without salt or signature; no one may have it open for writing. */
export async function enableVerity(
  fd: number,
  { algorithm = "sha256" as VerityAlgorithm, blockSizeBytes = 4096 } = {},
): Promise<void> {
  const argument = Buffer.alloc(128); // struct fsverity_enable_arg
  argument.writeUInt32LE(1, 0); // version
  argument.writeUInt32LE(HASH_ALGORITHMS[algorithm], 4);
  argument.writeUInt32LE(blockSizeBytes, 8);
  await ioctlAsync(fd, FS_IOC_ENABLE_VERITY, argument);
}

/** The digest that the kernel enforces; throws ENODATA for a file that is not sealed. */
export function measureVerity(fd: number): { algorithm: VerityAlgorithm; digest: Buffer } {
  const answer = Buffer.alloc(4 + 64); // struct fsverity_digest
  answer.writeUInt16LE(64, 2);
  call("ioctl", [fd, FS_IOC_MEASURE_VERITY, answer]);
  const algorithm = answer.readUInt16LE(0) === HASH_ALGORITHMS.sha512 ? "sha512" : "sha256";
  return { algorithm, digest: answer.subarray(4, 4 + answer.readUInt16LE(2)) };
}

/** At least sizeof(Verity) in native/fsverity.h. */
const STATE_BYTES = 40 * 1024;
const DIGEST_BYTES = 32;

/** The same digest as composefs/fsverity.ts computes, several times as fast. Reusable for one file after the other. */
export class VerityHasher {
  readonly #state = Buffer.alloc(STATE_BYTES);

  update(bytes: Uint8Array): this {
    loadSysModule().updateVerity(this.#state, bytes);
    return this;
  }

  /** In hex, of all bytes since the last digest. */
  digest(): string {
    const digest = Buffer.allocUnsafe(DIGEST_BYTES);
    loadSysModule().finishVerity(this.#state, digest);
    return digest.toString("hex");
  }
}
