/**
 * Decompresses all members of a gzip file, in bounded memory (RFC 1952).
 * A truncated file, and other data than zeros after the last member, are errors, as in gzip(1).
 */
import { createGunzip, type Gunzip, type ZlibOptions } from "node:zlib";
import { AgentError } from "../errors.ts";
import { DECOMPRESS_CHUNK_BYTES } from "./limits.ts";

/** The consumer owns the buffers. Throws ARCHIVE_CORRUPT and ARCHIVE_TRUNCATED. */
export async function* decompressGzip(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
): AsyncGenerator<Buffer> {
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
    throw describeFailure(error);
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

function drained(gunzip: Gunzip): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      for (const event of ["drain", "close", "error", "end"]) gunzip.off(event, done);
      resolve();
    };
    for (const event of ["drain", "close", "error", "end"]) gunzip.on(event, done);
  });
}

function describeFailure(thrown: unknown): AgentError {
  const { code, message } = thrown as { code?: string; message?: string };
  const [errorCode, reason] =
    code === "Z_BUF_ERROR"
      ? (["ARCHIVE_TRUNCATED", "it ends in the middle of a member"] as const)
      : (["ARCHIVE_CORRUPT", message ?? String(thrown)] as const);
  return new AgentError(errorCode, `Cannot decompress gzip data: ${reason}`, { cause: thrown });
}
