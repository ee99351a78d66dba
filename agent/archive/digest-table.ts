/**
 * Numbers digests from 0 on and finds a digest's number again: 40 bytes of memory each, where a Map of texts takes 150.
 * Digests are spread evenly, so their first bytes serve as their hash.
 */

import { GrowingBytes } from "./growing-bytes.ts";

export const DIGEST_BYTES = 32;
/** Stands for a digest that there is not. */
export const NO_DIGEST = "0".repeat(2 * DIGEST_BYTES);
const FIRST_ROOM = 64;
/** A slot holds a number plus one; zero is an empty slot. */
const EMPTY = 0;

export class DigestTable {
  readonly #keys = new GrowingBytes();
  /** A power of two of them, at most half of them taken. */
  #slots = new Uint32Array(2 * FIRST_ROOM);

  get size(): number {
    return this.#keys.length / DIGEST_BYTES;
  }

  /** All digests, one after the other. */
  get bytes(): Buffer {
    return this.#keys.bytes;
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
    bytes.copy(this.#keys.reserve(DIGEST_BYTES), 0, at, at + DIGEST_BYTES);
    const { size } = this;
    this.#slots[slot] = size;
    if (2 * size > this.#slots.length) this.#spread();
    return size - 1;
  }

  /** In hex. */
  read(number: number): string {
    return readDigest(this.#keys.room, number);
  }

  #findSlot(bytes: Buffer, at: number): number {
    const mask = this.#slots.length - 1;
    const { room } = this.#keys;
    for (let slot = bytes.readUInt32LE(at) & mask; ; slot = (slot + 1) & mask) {
      const known = this.#slots[slot]!;
      if (known === EMPTY) return slot;
      if (isSame(room, (known - 1) * DIGEST_BYTES, bytes, at)) return slot;
    }
  }

  #spread(): void {
    this.#slots = new Uint32Array(2 * this.#slots.length);
    for (let number = 0; number < this.size; number++) {
      this.#slots[this.#findSlot(this.#keys.room, number * DIGEST_BYTES)] = number + 1;
    }
  }
}

/** Mostly the first bytes tell; a call of `Buffer.compare` costs more than all of them. */
function isSame(left: Buffer, leftAt: number, right: Buffer, rightAt: number): boolean {
  for (let byte = 0; byte < DIGEST_BYTES; byte++)
    if (left[leftAt + byte] !== right[rightAt + byte]) return false;
  return true;
}

/** Of many, one after the other, in hex. */
export function readDigest(bytes: Buffer, number: number): string {
  return bytes.toString("hex", number * DIGEST_BYTES, (number + 1) * DIGEST_BYTES);
}

export function isNoDigest(bytes: Buffer, number: number): boolean {
  const start = number * DIGEST_BYTES;
  for (let at = start; at < start + DIGEST_BYTES; at++) if (bytes[at] !== 0) return false;
  return true;
}

export function* listDigests(bytes: Buffer): Generator<string> {
  for (let number = 0; (number + 1) * DIGEST_BYTES <= bytes.length; number++) yield readDigest(bytes, number);
}

export function tabulateDigests(bytes: Buffer): DigestTable {
  const table = new DigestTable();
  for (let at = 0; at < bytes.length; at += DIGEST_BYTES) table.add(bytes, at);
  return table;
}

/** Each once. */
export function uniteDigests(bytes: Buffer): Buffer {
  return tabulateDigests(bytes).bytes;
}

/** Digests in the order they were told. */
export class DigestList {
  readonly #bytes = new GrowingBytes();

  get count(): number {
    return this.#bytes.length / DIGEST_BYTES;
  }

  get bytes(): Buffer {
    return this.#bytes.bytes;
  }

  push(hex: string): void {
    this.#bytes.reserve(DIGEST_BYTES).write(hex, "hex");
  }
}
