/**
 * The buffers that decompressed bytes are put into in turn, while lanes still read those filled before.
 * The lanes' own bound makes it safe: what is given out was pushed so long ago that they are done with it.
 */

import { DECOMPRESS_CHUNK_BYTES } from "../../archive/limits.ts";
import { LANE_QUEUE_BUFFERS } from "../../kernel/syscalls.ts";

export class ChunkRing {
  readonly #buffers: Buffer[];
  #next = 0;

  constructor(bufferBytes = DECOMPRESS_CHUNK_BYTES, queueBuffers = LANE_QUEUE_BUFFERS) {
    this.#buffers = Array.from({ length: queueBuffers + 1 }, () => Buffer.allocUnsafeSlow(bufferBytes));
  }

  /** To be filled; good until as many others were taken. */
  take(): Buffer {
    const buffer = this.#buffers[this.#next]!;
    this.#next = (this.#next + 1) % this.#buffers.length;
    return buffer;
  }

  /** Copies of chunks whose memory is used again too soon. */
  async *copy(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      for (let at = 0; at < chunk.length; ) {
        const buffer = this.take();
        const length = chunk.copy(buffer, 0, at);
        at += length;
        yield buffer.subarray(0, length);
      }
    }
  }
}
