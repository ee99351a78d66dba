/** Bytes that are added at the end, in memory that doubles when it is full. */

const FIRST_ROOM_BYTES = 4096;

export class GrowingBytes {
  #room = Buffer.alloc(FIRST_ROOM_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** What was added, and room behind it; good until more is added. */
  get room(): Buffer<ArrayBuffer> {
    return this.#room;
  }

  /** What was added, likewise. */
  get bytes(): Buffer<ArrayBuffer> {
    return this.#room.subarray(0, this.#length);
  }

  /** Adds so many bytes, zeros until the caller fills them. */
  reserve(sizeBytes: number): Buffer<ArrayBuffer> {
    const start = this.#length;
    const end = start + sizeBytes;
    if (end > this.#room.length) {
      const larger = Buffer.alloc(Math.max(2 * this.#room.length, end));
      this.#room.copy(larger, 0, 0, start);
      this.#room = larger;
    }
    this.#length = end;
    return this.#room.subarray(start, end);
  }
}
