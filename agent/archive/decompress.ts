/**
 * Decompresses gzip and zstd, and limits how far an archive may expand.
 * xz is left to a program (agent/root/unpack/xz-process.ts), because pure code does not start processes.
 */
import { AgentError } from "../errors.ts";
import type { Compression } from "./detect-compression.ts";
import { decompressGzip } from "./gzip-decompressor.ts";
import { ARCHIVE_MAX_RATIO, ARCHIVE_RATIO_FREE_BYTES } from "./limits.ts";
import { decompressZstd } from "./zstd-decompressor.ts";

/**
 * An output buffer is valid until the next one is requested, unless `takeOutput` provides the buffers.
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

/** Throws ARCHIVE_LIMIT_EXCEEDED when the ratio is higher than that of any genuine archive. */
export function checkRatio(
  bytesIn: number,
  bytesOut: number,
  { maxRatio = ARCHIVE_MAX_RATIO, freeBytes = ARCHIVE_RATIO_FREE_BYTES }: RatioLimits = {},
): void {
  if (bytesOut <= freeBytes || bytesOut <= bytesIn * maxRatio) return;
  throw new AgentError(
    "ARCHIVE_LIMIT_EXCEEDED",
    `Cannot decompress the archive: ${bytesIn} bytes expanded to ${bytesOut}, more than ${maxRatio}:1`,
  );
}
