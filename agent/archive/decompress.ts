/**
 * Detects how an archive is compressed, decompresses gzip and zstd, and limits how far an archive may expand.
 * xz is left to a program (agent/root/unpack/xz-process.ts), because pure code does not start processes.
 */
import type { Writable } from "node:stream";
import { createGunzip, type ZlibOptions } from "node:zlib";
import zstd from "zstd-napi/binding.js";
import { AgentError } from "../errors.ts";
import {
  ARCHIVE_MAX_RATIO,
  ARCHIVE_RATIO_FREE_BYTES,
  DECOMPRESS_CHUNK_BYTES,
  ZSTD_WINDOW_LOG_MAX,
} from "./limits.ts";

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

/**
 * All members of a gzip file (RFC 1952). A truncated file, and other data than zeros after the last member, are errors, as in
 * gzip(1). The consumer owns the buffers. Throws ARCHIVE_CORRUPT and ARCHIVE_TRUNCATED.
 */
async function* decompressGzip(chunks: AsyncIterable<Buffer> | Iterable<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({
    chunkSize: DECOMPRESS_CHUNK_BYTES,
    // Two output chunks, so that the inflating thread runs ahead of the reader.
    readableHighWaterMark: 2 * DECOMPRESS_CHUNK_BYTES,
    writableHighWaterMark: DECOMPRESS_CHUNK_BYTES,
  } as ZlibOptions);
  let bytesIn = 0;
  /** Where the last byte that is not zero ends. */
  let dataEnd = 0;
  let sourceError: { error: unknown } | undefined;

  const feed = async () => {
    try {
      for await (const chunk of chunks) {
        const zeros = countTrailingZeros(chunk);
        if (zeros < chunk.length) dataEnd = bytesIn + chunk.length - zeros;
        bytesIn += chunk.length;
        // It ended before `end()`, at the last member.
        if (gunzip.readableEnded) continue;
        if (gunzip.destroyed) break;
        // A copy: another thread reads it while the source may already reuse the chunk's memory.
        if (!gunzip.write(Buffer.from(chunk))) await drained(gunzip);
      }
      gunzip.end();
    } catch (error) {
      sourceError = { error };
      gunzip.destroy();
    }
  };
  const fed = feed();

  try {
    for await (const chunk of gunzip) yield chunk as Buffer;
  } catch (error) {
    if (sourceError) throw sourceError.error;
    throw describeGzipFailure(error);
  } finally {
    gunzip.destroy();
  }
  await fed;
  if (sourceError) throw (sourceError as { error: unknown }).error;
  if (gunzip.bytesWritten < dataEnd) {
    throw new AgentError(
      "ARCHIVE_CORRUPT",
      `Cannot decompress gzip data: ${bytesIn - gunzip.bytesWritten} bytes after the last member are not gzip`,
    );
  }
}

function countTrailingZeros(bytes: Buffer): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return bytes.length - end;
}

/** The stream takes more, or never will. */
export function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of ["drain", "close", "error", "end"]) stream.off(event, done);
      resolve();
    };
    for (const event of ["drain", "close", "error", "end"]) stream.on(event, done);
  });
}

function describeGzipFailure(thrown: unknown): AgentError {
  const { code, message } = thrown as { code?: string; message?: string };
  const [errorCode, reason] =
    code === "Z_BUF_ERROR"
      ? (["ARCHIVE_TRUNCATED", "it ends in the middle of a member"] as const)
      : (["ARCHIVE_CORRUPT", message ?? String(thrown)] as const);
  return new AgentError(errorCode, `Cannot decompress gzip data: ${reason}`, { cause: thrown });
}

export interface ZstdOptions {
  /** Frames with a window larger than 2 to this power are refused. */
  windowLogMax?: number;
  chunkBytes?: number;
  /** Provides each output buffer, for consumers that keep one longer. */
  takeOutput?: () => Buffer;
}

const NOTHING = Buffer.alloc(0);

/**
 * Any number of zstd frames, with skippable frames between them (RFC 8878). Node's own zstd stops after the first frame without an
 * error (nodejs/node#64741), so this uses the context of zstd-napi. One output buffer is reused: a chunk is valid until the next one is requested, unless the consumer provides the buffers.
 * Throws ARCHIVE_TRUNCATED, and ARCHIVE_CORRUPT, also for other data after a frame.
 */
export async function* decompressZstd(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  { windowLogMax = ZSTD_WINDOW_LOG_MAX, chunkBytes = DECOMPRESS_CHUNK_BYTES, takeOutput }: ZstdOptions = {},
): AsyncGenerator<Buffer> {
  const context = new zstd.DCtx();
  context.setParameter(zstd.DParameter.windowLogMax, windowLogMax);
  const own = takeOutput ? undefined : Buffer.allocUnsafeSlow(chunkBytes);
  const nextOutput = (): Buffer => own ?? takeOutput!();
  let output = nextOutput();
  let filledBytes = 0;
  let inFrame = false;

  for await (const chunk of chunks) {
    let rest: Uint8Array = chunk;
    while (rest.length > 0) {
      const [hint, producedBytes, consumedBytes] = decodeZstd(context, output.subarray(filledBytes), rest);
      rest = rest.subarray(consumedBytes);
      filledBytes += producedBytes;
      inFrame = hint !== 0;
      if (filledBytes < output.length) continue;
      // The output is full: the context may hold more, even without further input.
      do {
        yield output.subarray(0, filledBytes);
        output = nextOutput();
        filledBytes = 0;
        if (rest.length > 0 || !inFrame) break;
        const [moreHint, moreBytes] = decodeZstd(context, output, NOTHING);
        inFrame = moreHint !== 0;
        filledBytes = moreBytes;
      } while (filledBytes === output.length);
    }
  }
  if (filledBytes > 0) yield output.subarray(0, filledBytes);
  if (inFrame)
    throw new AgentError(
      "ARCHIVE_TRUNCATED",
      "Cannot decompress zstd data: it ends in the middle of a frame",
    );
}

function decodeZstd(context: InstanceType<typeof zstd.DCtx>, output: Uint8Array, input: Uint8Array) {
  try {
    return context.decompressStream(output, input);
  } catch (error) {
    const reason = (error as Error).message;
    throw new AgentError("ARCHIVE_CORRUPT", `Cannot decompress zstd data: ${reason}`, { cause: error });
  }
}
