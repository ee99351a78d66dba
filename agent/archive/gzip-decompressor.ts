/**
 * Decompresses gzip, all members of it, in bounded memory (RFC 1952).
 * A cut file and anything but members after the last one are errors: gzip(1) would only warn.
 */
import { createGunzip, type Gunzip, type ZlibOptions } from "node:zlib";
import { AgentError } from "../errors.ts";
import { DECOMPRESS_CHUNK_BYTES } from "./limits.ts";

/** The buffers that come out are the consumer's own. Throws ARCHIVE_CORRUPT and ARCHIVE_TRUNCATED. */
export async function* decompressGzip(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({
    chunkSize: DECOMPRESS_CHUNK_BYTES,
    // Two chunks on the output side, so that the thread which inflates runs ahead of the reader.
    readableHighWaterMark: 2 * DECOMPRESS_CHUNK_BYTES,
    writableHighWaterMark: DECOMPRESS_CHUNK_BYTES,
  } as ZlibOptions);
  let bytesIn = 0;
  let sourceError: { error: unknown } | undefined;

  const feed = async () => {
    try {
      for await (const chunk of chunks) {
        bytesIn += chunk.length;
        // Ended before `end()`: what follows the last member is no gzip, which the count below finds out.
        if (gunzip.readableEnded || gunzip.destroyed) break;
        // A copy: another thread reads it while the source may already use the chunk's memory again.
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
  if (gunzip.bytesWritten !== bytesIn) {
    throw new AgentError(
      "ARCHIVE_CORRUPT",
      `Cannot decompress gzip data: ${bytesIn - gunzip.bytesWritten} bytes after its last member are no gzip`,
    );
  }
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
  if (code === "Z_BUF_ERROR") {
    return new AgentError(
      "ARCHIVE_TRUNCATED",
      "Cannot decompress gzip data: it ends in the middle of a member",
      {
        cause: thrown,
      },
    );
  }
  return new AgentError("ARCHIVE_CORRUPT", `Cannot decompress gzip data: ${message ?? String(thrown)}`, {
    cause: thrown,
  });
}
