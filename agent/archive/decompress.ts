/**
 * Detects how an archive is compressed, decompresses gzip and zstd, and limits how far an archive may expand.
 * xz is left to a program (agent/root/unpack/xz-process.ts), because pure code does not start processes.
 */
import { AgentError } from "../errors.ts";
import { decompressGzip } from "./gzip-decompressor.ts";
import { ARCHIVE_MAX_RATIO, ARCHIVE_RATIO_FREE_BYTES } from "./limits.ts";
import { decompressZstd } from "./zstd-decompressor.ts";

export type Compression = "none" | "gzip" | "zstd" | "xz";

/** How many bytes `detectCompression` needs, unless the archive is shorter. */
export const COMPRESSION_MAGIC_BYTES = 6;

const XZ_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);

/**
 * Detects the compression by magic numbers, because file names and media types can be wrong: RFC 1952 (gzip), RFC 8878 sections
 * 3.1.1 and 3.1.2 (zstd, skippable frames), .xz file format 2.1.1.1. Returns `none` for an unknown magic number; the tar reader then decides whether it is a tar archive.
 */
export function detectCompression(firstBytes: Buffer): Compression {
  if (firstBytes.length >= 2 && firstBytes[0] === 0x1f && firstBytes[1] === 0x8b) return "gzip";
  if (firstBytes.length >= 4) {
    const magic = firstBytes.readUInt32LE(0);
    if (magic === 0xfd2fb528) return "zstd";
    // pzstd and zstd:chunked files may begin with a skippable frame; the low four bits of its magic are free.
    if (magic >>> 4 === 0x184d2a5) return "zstd";
  }
  return firstBytes.subarray(0, XZ_MAGIC.length).equals(XZ_MAGIC) ? "xz" : "none";
}

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
