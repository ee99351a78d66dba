/**
 * Decodes the frames of a chunked blob, thousands of them with one context and one buffer (RFC 8878).
 * A table says how large each is; what a frame says of itself is not believed.
 */

import zstd from "zstd-napi/binding.js";
import { AgentError } from "../../errors.ts";
import { FRAME_IN_MEMORY_MAX_BYTES, ZSTD_OUTPUT_BYTES, ZSTD_WINDOW_LOG_MAX } from "../limits.ts";

export class FrameDecoder {
  readonly #context = new zstd.DCtx();
  #output = Buffer.allocUnsafeSlow(ZSTD_OUTPUT_BYTES);
  #inFrame = false;

  constructor() {
    this.#context.setParameter(zstd.DParameter.windowLogMax, ZSTD_WINDOW_LOG_MAX);
  }

  /** Whether a frame of so many plain bytes is decoded in one piece; larger ones are for `decodeStream`. */
  static fitsMemory(plainBytes: number): boolean {
    return plainBytes <= FRAME_IN_MEMORY_MAX_BYTES;
  }

  /** A whole frame of exactly `plainBytes`; the result is valid until the next call. Throws CHUNKED_BAD_FRAME. */
  decode(frame: Uint8Array, plainBytes: number): Buffer {
    if (!FrameDecoder.fitsMemory(plainBytes))
      throw badFrame(`${plainBytes} bytes are too many for one piece`);
    if (this.#output.length < plainBytes) this.#output = Buffer.allocUnsafeSlow(plainBytes);
    const output = this.#output.subarray(0, plainBytes);
    const producedBytes = guard(() => this.#context.decompress(output, frame));
    if (producedBytes !== plainBytes) throw badFrame(`it has ${producedBytes} bytes, not ${plainBytes}`);
    return output;
  }

  /** The plain bytes of whole frames, in pieces valid until the next is asked for. Throws CHUNKED_BAD_FRAME. */
  *decodeAll(frames: Uint8Array): Generator<Buffer> {
    this.#context.reset(zstd.ResetDirective.sessionOnly);
    yield* this.decodeStream(frames);
    this.endStream();
  }

  /** The next piece of a stream of frames; `endStream` when all are in. */
  *decodeStream(piece: Uint8Array): Generator<Buffer> {
    let rest = piece;
    for (;;) {
      const [hint, producedBytes, consumedBytes] = guard(() =>
        this.#context.decompressStream(this.#output, rest),
      );
      rest = rest.subarray(consumedBytes);
      // With nothing in and nothing out the context tells of the next frame, which need not come.
      if (consumedBytes > 0 || producedBytes > 0) this.#inFrame = hint !== 0;
      if (producedBytes > 0) yield this.#output.subarray(0, producedBytes);
      // A full buffer may have left bytes inside the context that no more input asks for.
      if (rest.length === 0 && producedBytes < this.#output.length) return;
    }
  }

  endStream(): void {
    const wasInFrame = this.#inFrame;
    this.#inFrame = false;
    this.#context.reset(zstd.ResetDirective.sessionOnly);
    if (wasInFrame) throw badFrame("it is cut");
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
