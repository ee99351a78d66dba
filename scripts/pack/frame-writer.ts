/**
 * Compresses data to zstd frames: one frame for each piece, or one frame for a stream.
 * Every frame has a checksum. The same input gives the same bytes.
 */

import zstd from "zstd-napi/binding.js";
import { ZSTD_OUTPUT_BYTES } from "../../agent/archive/limits.ts";

export const DEFAULT_LEVEL = 3;

function createContext(level: number): InstanceType<typeof zstd.CCtx> {
  const context = new zstd.CCtx();
  context.setParameter(zstd.CParameter.compressionLevel, level);
  context.setParameter(zstd.CParameter.checksumFlag, 1);
  return context;
}

/** Writes one frame for each piece; the frame states the size. */
export class FrameCompressor {
  readonly #context: InstanceType<typeof zstd.CCtx>;
  #output = Buffer.alloc(0);

  constructor(level: number = DEFAULT_LEVEL) {
    this.#context = createContext(level);
  }

  compress(bytes: Uint8Array): Buffer {
    const bound = zstd.compressBound(bytes.length);
    if (this.#output.length < bound) this.#output = Buffer.allocUnsafeSlow(bound);
    const sizeBytes = this.#context.compress2(this.#output, bytes);
    return Buffer.from(this.#output.subarray(0, sizeBytes));
  }
}

/** Writes one frame for a stream; holds only the compressed bytes in memory. */
export class FrameStream {
  readonly #context: InstanceType<typeof zstd.CCtx>;
  readonly #parts: Buffer[] = [];
  readonly #output = Buffer.allocUnsafeSlow(ZSTD_OUTPUT_BYTES);
  plainBytes = 0;

  constructor(level: number = DEFAULT_LEVEL) {
    this.#context = createContext(level);
  }

  write(bytes: Uint8Array): void {
    this.plainBytes += bytes.length;
    this.#drive(bytes, zstd.EndDirective.continue);
  }

  /** The complete frame. */
  finish(): Buffer {
    this.#drive(Buffer.alloc(0), zstd.EndDirective.end);
    return Buffer.concat(this.#parts);
  }

  #drive(bytes: Uint8Array, directive: zstd.EndDirective): void {
    let rest = bytes;
    for (;;) {
      const [left, produced, consumed] = this.#context.compressStream2(this.#output, rest, directive);
      if (produced > 0) this.#parts.push(Buffer.from(this.#output.subarray(0, produced)));
      rest = rest.subarray(consumed);
      if (directive === zstd.EndDirective.continue ? rest.length === 0 : left === 0) return;
    }
  }
}
