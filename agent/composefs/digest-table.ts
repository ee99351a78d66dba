/**
 * Numbers digests from 0 on and finds a digest's number again: 40 bytes of memory each, where a Map of texts takes 150.
 * Digests are spread evenly, so their first bytes serve as their hash.
 */

export const DIGEST_BYTES = 32;
const FIRST_ROOM = 64;
/** A slot holds a number plus one; zero is an empty slot. */
const EMPTY = 0;

export class DigestTable {
  #keys = Buffer.alloc(FIRST_ROOM * DIGEST_BYTES);
  /** A power of two of them, at most half of them taken. */
  #slots = new Uint32Array(2 * FIRST_ROOM);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** All digests, one after the other. */
  get bytes(): Buffer {
    return this.#keys.subarray(0, this.#size * DIGEST_BYTES);
  }

  /** The number of the digest that begins at `at`, or -1. */
  find(bytes: Buffer, at = 0): number {
    return this.#slots[this.#findSlot(bytes, at)]! - 1;
  }

  /** The digest's number; a digest that is new gets the next one, which was `size`. */
  add(bytes: Buffer, at = 0): number {
    const slot = this.#findSlot(bytes, at);
    const known = this.#slots[slot]!;
    if (known !== EMPTY) return known - 1;
    if ((this.#size + 1) * DIGEST_BYTES > this.#keys.length) this.#keys = grow(this.#keys);
    bytes.copy(this.#keys, this.#size * DIGEST_BYTES, at, at + DIGEST_BYTES);
    this.#slots[slot] = ++this.#size;
    if (2 * this.#size > this.#slots.length) this.#spread();
    return this.#size - 1;
  }

  /** In hex. */
  read(number: number): string {
    return readDigest(this.#keys, number);
  }

  #findSlot(bytes: Buffer, at: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = bytes.readUInt32LE(at) & mask; ; slot = (slot + 1) & mask) {
      const known = this.#slots[slot]!;
      if (known === EMPTY) return slot;
      const start = (known - 1) * DIGEST_BYTES;
      if (this.#keys.compare(bytes, at, at + DIGEST_BYTES, start, start + DIGEST_BYTES) === 0) return slot;
    }
  }

  #spread(): void {
    this.#slots = new Uint32Array(2 * this.#slots.length);
    for (let number = 0; number < this.#size; number++) {
      this.#slots[this.#findSlot(this.#keys, number * DIGEST_BYTES)] = number + 1;
    }
  }
}

/** Of many, one after the other, in hex. */
export function readDigest(bytes: Buffer, number: number): string {
  return bytes.toString("hex", number * DIGEST_BYTES, (number + 1) * DIGEST_BYTES);
}

export function* listDigests(bytes: Buffer): Generator<string> {
  for (let number = 0; (number + 1) * DIGEST_BYTES <= bytes.length; number++) yield readDigest(bytes, number);
}

/** Each once. */
export function uniteDigests(bytes: Buffer): Buffer {
  const table = new DigestTable();
  for (let at = 0; at < bytes.length; at += DIGEST_BYTES) table.add(bytes, at);
  return table.bytes;
}

/** Digests in the order they were told. */
export class DigestList {
  #bytes = Buffer.alloc(FIRST_ROOM * DIGEST_BYTES);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#count * DIGEST_BYTES);
  }

  push(hex: string): void {
    if ((this.#count + 1) * DIGEST_BYTES > this.#bytes.length) this.#bytes = grow(this.#bytes);
    this.#bytes.write(hex, this.#count++ * DIGEST_BYTES, "hex");
  }
}

function grow(bytes: Buffer): Buffer<ArrayBuffer> {
  const larger = Buffer.alloc(2 * bytes.length);
  bytes.copy(larger);
  return larger;
}
