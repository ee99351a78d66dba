/**
 * Detects the compression of an archive by its first bytes, because file names and media types can be wrong.
 * Magic numbers: RFC 1952 (gzip), RFC 8878 sections 3.1.1 and 3.1.2 (zstd, skippable frames), the .xz file format 2.1.1.1.
 */

export type Compression = "none" | "gzip" | "zstd" | "xz";

/** How many bytes `detectCompression` needs, unless the archive is shorter. */
export const COMPRESSION_MAGIC_BYTES = 6;

const XZ_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);

/** Returns `none` for an unknown magic number; the tar reader then decides whether it is a tar archive. */
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
