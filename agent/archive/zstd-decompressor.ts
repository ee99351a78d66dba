/**
 * Decompresses any number of zstd frames, with skippable frames between them, in bounded memory (RFC 8878).
 * Node's own zstd stops after the first frame without an error (nodejs/node#64741), so this uses the context of zstd-napi.
 */
import zstd from "zstd-napi/binding.js";
import { AgentError } from "../errors.ts";
import { DECOMPRESS_CHUNK_BYTES, ZSTD_WINDOW_LOG_MAX } from "./limits.ts";

export interface ZstdOptions {
  /** Frames with a window larger than 2 to this power are refused. */
  windowLogMax?: number;
  chunkBytes?: number;
  /** Provides each output buffer, for consumers that keep one longer. */
  takeOutput?: () => Buffer;
}

const NOTHING = Buffer.alloc(0);

/**
 * One output buffer is reused: a chunk is valid until the next one is requested, unless the consumer provides the buffers.
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
      const [hint, producedBytes, consumedBytes] = decode(context, output.subarray(filledBytes), rest);
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
        const [moreHint, moreBytes] = decode(context, output, NOTHING);
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

function decode(context: InstanceType<typeof zstd.DCtx>, output: Uint8Array, input: Uint8Array) {
  try {
    return context.decompressStream(output, input);
  } catch (error) {
    const reason = (error as Error).message;
    throw new AgentError("ARCHIVE_CORRUPT", `Cannot decompress zstd data: ${reason}`, { cause: error });
  }
}
