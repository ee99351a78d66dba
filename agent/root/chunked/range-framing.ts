/**
 * Sends ranges of a blob to a worker as one stream of bytes, like an archive.
 * Each range is preceded by its offset (8 bytes) and its length (4 bytes), little endian.
 */
import type { RangePiece } from "../../archive/byte-range.ts";

const HEADER_BYTES = 12;

export async function* frameRanges(pieces: AsyncIterable<RangePiece>): AsyncGenerator<Buffer> {
  for await (const { offset, bytes } of pieces) {
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.writeBigUInt64LE(BigInt(offset));
    header.writeUInt32LE(bytes.length, 8);
    yield header;
    yield bytes;
  }
}

/** Reads the stream in chunks of any size; the pieces it yields are views of the chunk. */
export class FramedRangeReader {
  readonly #header = Buffer.allocUnsafe(HEADER_BYTES);
  #headerBytes = 0;
  #offset = 0;
  #leftBytes = 0;

  *read(chunk: Buffer): Generator<RangePiece> {
    for (let at = 0; at < chunk.length; ) {
      if (this.#leftBytes > 0) {
        const bytes = chunk.subarray(at, at + this.#leftBytes);
        yield { offset: this.#offset, bytes };
        this.#offset += bytes.length;
        this.#leftBytes -= bytes.length;
        at += bytes.length;
        continue;
      }
      const copied = chunk.copy(this.#header, this.#headerBytes, at);
      this.#headerBytes += copied;
      at += copied;
      if (this.#headerBytes < HEADER_BYTES) return;
      this.#headerBytes = 0;
      this.#offset = Number(this.#header.readBigUInt64LE());
      this.#leftBytes = this.#header.readUInt32LE(8);
    }
  }
}
