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
    if (end > this.#room.length) this.#room = enlarge(this.#room, start, end);
    this.#length = end;
    return this.#room.subarray(start, end);
  }
}

/** Memory for `end` bytes, with the first `used` ones. The old memory is freed at once: V8 would let much of it gather. */
export function enlarge(room: Buffer<ArrayBuffer>, used: number, end: number): Buffer<ArrayBuffer> {
  const larger = Buffer.alloc(Math.max(2 * room.length, end));
  room.copy(larger, 0, 0, used);
  room.buffer.transfer(0);
  return larger;
}
