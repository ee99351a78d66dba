/** A buffer that grows at its end; its memory doubles when it is full. */

const FIRST_ROOM_BYTES = 4096;

export class GrowingBytes {
  #room = Buffer.alloc(FIRST_ROOM_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The added bytes and the free memory behind them; valid until more is added. */
  get room(): Buffer<ArrayBuffer> {
    return this.#room;
  }

  /** The added bytes; valid until more is added. */
  get bytes(): Buffer<ArrayBuffer> {
    return this.#room.subarray(0, this.#length);
  }

  /** Appends zeros, which the caller overwrites. */
  reserve(sizeBytes: number): Buffer<ArrayBuffer> {
    const start = this.#length;
    const end = start + sizeBytes;
    if (end > this.#room.length) this.#room = enlarge(this.#room, start, end);
    this.#length = end;
    return this.#room.subarray(start, end);
  }
}

/** Copies the first `used` bytes into memory for `end` bytes. The old memory is freed at once; V8 would let it pile up. */
export function enlarge(room: Buffer<ArrayBuffer>, used: number, end: number): Buffer<ArrayBuffer> {
  const larger = Buffer.alloc(Math.max(2 * room.length, end));
  room.copy(larger, 0, 0, used);
  room.buffer.transfer(0);
  return larger;
}
