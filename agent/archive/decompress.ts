/**
 * Decompresses what the agent decompresses itself, and stops what grows beyond all measure.
 * xz is not here: a program does it (agent/root/unpack/xz-process.ts), which pure code may not start.
 */
import { AgentError } from "../errors.ts";
import type { Compression } from "./detect-compression.ts";
import { decompressGzip } from "./gzip-decompressor.ts";
import { ARCHIVE_MAX_RATIO, ARCHIVE_RATIO_FREE_BYTES } from "./limits.ts";
import { decompressZstd } from "./zstd-decompressor.ts";

/**
 * Output buffers are valid until the next one is asked for, unless `takeOutput` gives others.
 * Throws ARCHIVE_CORRUPT and ARCHIVE_TRUNCATED.
 */
export function decompress(
  kind: Exclude<Compression, "xz">,
  chunks: AsyncIterable<Buffer>,
  options: { takeOutput?: () => Buffer } = {},
): AsyncIterable<Buffer> {
  if (kind === "gzip") return decompressGzip(chunks);
  if (kind === "zstd") return decompressZstd(chunks, options);
  return chunks;
}

export interface RatioLimits {
  maxRatio?: number;
  freeBytes?: number;
}

/** Throws ARCHIVE_LIMIT_EXCEEDED when so few bytes in cannot honestly be so many bytes out. */
export function checkRatio(
  bytesIn: number,
  bytesOut: number,
  { maxRatio = ARCHIVE_MAX_RATIO, freeBytes = ARCHIVE_RATIO_FREE_BYTES }: RatioLimits = {},
): void {
  if (bytesOut <= freeBytes || bytesOut <= bytesIn * maxRatio) return;
  throw new AgentError(
    "ARCHIVE_LIMIT_EXCEEDED",
    `Cannot go on decompressing: ${bytesIn} bytes have become ${bytesOut}, more than ${maxRatio} times as many`,
  );
}
