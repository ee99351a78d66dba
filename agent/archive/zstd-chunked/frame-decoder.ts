/**
 * Decodes the zstd frames of a chunked blob with one context and one buffer (RFC 8878). The TOC has the size of each
 * frame's content; the size in a frame's header is not trusted.
 */

import zstd from "zstd-napi/binding.js";
import { AgentError } from "../../errors.ts";
import { FRAME_IN_MEMORY_MAX_BYTES, ZSTD_OUTPUT_BYTES, ZSTD_WINDOW_LOG_MAX } from "../limits.ts";

export class FrameDecoder {
  readonly #context = new zstd.DCtx();
  #output = Buffer.allocUnsafeSlow(ZSTD_OUTPUT_BYTES);

  constructor() {
    this.#context.setParameter(zstd.DParameter.windowLogMax, ZSTD_WINDOW_LOG_MAX);
  }

  /** Whether `decode` accepts a frame with so many plain bytes. */
  static fitsMemory(plainBytes: number): boolean {
    return plainBytes <= FRAME_IN_MEMORY_MAX_BYTES;
  }

  /** Decodes a frame of exactly `plainBytes`. The result is valid until the next call. Throws CHUNKED_BAD_FRAME. */
  decode(frame: Uint8Array, plainBytes: number): Buffer {
    if (!FrameDecoder.fitsMemory(plainBytes)) throw badFrame(`its ${plainBytes} bytes exceed the limit`);
    if (this.#output.length < plainBytes) this.#output = Buffer.allocUnsafeSlow(plainBytes);
    const output = this.#output.subarray(0, plainBytes);
    const producedBytes = guard(() => this.#context.decompress(output, frame));
    if (producedBytes !== plainBytes) throw badFrame(`it has ${producedBytes} bytes, not ${plainBytes}`);
    return output;
  }

  /** Yields the content of whole frames in pieces, each valid until the next. Throws CHUNKED_BAD_FRAME. */
  *decodeAll(frames: Uint8Array): Generator<Buffer> {
    this.#context.reset(zstd.ResetDirective.sessionOnly);
    let inFrame = false;
    for (let rest = frames; ; ) {
      const [hint, producedBytes, consumedBytes] = guard(() =>
        this.#context.decompressStream(this.#output, rest),
      );
      rest = rest.subarray(consumedBytes);
      // Without input and output, the hint is about a next frame, which may not exist.
      if (consumedBytes > 0 || producedBytes > 0) inFrame = hint !== 0;
      if (producedBytes > 0) yield this.#output.subarray(0, producedBytes);
      // When the buffer was filled, the context may hold more output.
      if (rest.length === 0 && producedBytes < this.#output.length) break;
    }
    this.#context.reset(zstd.ResetDirective.sessionOnly);
    if (inFrame) throw badFrame("it is truncated");
  }
}

function guard<Result>(decode: () => Result): Result {
  try {
    return decode();
  } catch (cause) {
    throw badFrame((cause as Error).message, cause);
  }
}

function badFrame(fault: string, cause?: unknown): AgentError {
  return new AgentError("CHUNKED_BAD_FRAME", `Cannot decode a zstd frame: ${fault}`, { cause });
}
