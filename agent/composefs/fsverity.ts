/**
 * The fs-verity digest of a file's content (sha256, 4 KiB blocks, no salt). The agent hashes files with the kernel
 * room's VerityHasher; this one serves for images in memory and on hosts without the native module.
 * Follows the kernel's Documentation/filesystems/fsverity.rst: a Merkle tree over zero-padded blocks, then a descriptor.
 */

import { hash } from "node:crypto";

const BLOCK_BYTES = 4096;
const DIGEST_BYTES = 32;
const DESCRIPTOR_BYTES = 256;
/** struct fsverity_descriptor: version 1, sha256 = 1, log2 of the block size; the other fields stay zero. */
const DESCRIPTOR_VERSION = 1;
export const FSVERITY_SHA256 = 1;
const LOG2_BLOCK_BYTES = 12;

/** 32 bytes. */
export function computeFsVerityDigest(content: Uint8Array): Buffer {
  const descriptor = Buffer.alloc(DESCRIPTOR_BYTES);
  descriptor[0] = DESCRIPTOR_VERSION;
  descriptor[1] = FSVERITY_SHA256;
  descriptor[2] = LOG2_BLOCK_BYTES;
  descriptor.writeBigUInt64LE(BigInt(content.length), 8);
  descriptor.set(computeRootHash(content), 16);
  return hash("sha256", descriptor, "buffer");
}

/** Zeros for an empty file, as in the kernel. */
function computeRootHash(content: Uint8Array): Uint8Array {
  if (content.length === 0) return Buffer.alloc(DIGEST_BYTES);
  let level = hashBlocks(content);
  while (level.length > DIGEST_BYTES) level = hashBlocks(level);
  return level;
}

function hashBlocks({ buffer, byteOffset, length }: Uint8Array): Buffer {
  const digests = Buffer.allocUnsafe(Math.ceil(length / BLOCK_BYTES) * DIGEST_BYTES);
  for (let at = 0, digestAt = 0; at < length; at += BLOCK_BYTES, digestAt += DIGEST_BYTES) {
    const bytes = new Uint8Array(buffer, byteOffset + at, Math.min(BLOCK_BYTES, length - at));
    const block = bytes.length === BLOCK_BYTES ? bytes : Buffer.concat([bytes], BLOCK_BYTES);
    digests.set(hash("sha256", block, "buffer"), digestAt);
  }
  return digests;
}
