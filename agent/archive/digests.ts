/**
 * Lists of sha256 or fs-verity digests: 32 bytes each, end to end, as they are on disk and in messages between threads;
 * and a hash table over such a list, which takes 45 bytes for a digest where a Map with string keys takes 130.
 */

import { randomFillSync } from "node:crypto";
import { enlarge } from "./enlarge.ts";

export const DIGEST_BYTES = 32;
/** In a list of answers: not found. */
export const NO_DIGEST = "0".repeat(2 * DIGEST_BYTES);
const FIRST_CAPACITY = 128;

/** In hex. */
export function readDigest(digests: Buffer, index: number): string {
  return digests.toString("hex", index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
}

export function isNoDigest(digests: Buffer, index: number): boolean {
  const start = index * DIGEST_BYTES;
  for (let at = start; at < start + DIGEST_BYTES; at++) if (digests[at] !== 0) return false;
  return true;
}

/** In hex. */
export function* listDigests(digests: Buffer): Generator<string> {
  for (let index = 0; index < digests.length / DIGEST_BYTES; index++) yield readDigest(digests, index);
}

export function tabulateDigests(digests: Buffer): DigestTable {
  const table = new DigestTable();
  for (let index = 0; index < digests.length / DIGEST_BYTES; index++) table.add(digests, index);
  return table;
}

/** A list that grows. */
export class DigestList {
  #memory = Buffer.alloc(FIRST_CAPACITY * DIGEST_BYTES);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Valid until the next `push` or `append`. */
  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#count * DIGEST_BYTES);
  }

  push(hex: string): void {
    this.#reserve().write(hex, this.#count++ * DIGEST_BYTES, "hex");
  }

  append(digests: Buffer, index: number): void {
    const memory = this.#reserve();
    digests.copy(memory, this.#count++ * DIGEST_BYTES, index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
  }

  #reserve(): Buffer {
    const end = (this.#count + 1) * DIGEST_BYTES;
    if (end > this.#memory.length) this.#memory = enlarge(this.#memory, end - DIGEST_BYTES, end);
    return this.#memory;
  }
}

/** A slot holds a digest's index plus one. */
const EMPTY = 0;
/**
 * Random, so that no list can be made to slow look-ups down: a sum of bytes times these is a universal hash, whose
 * upper 24 bits are the same for two digests no more often than by chance.
 */
const MULTIPLIERS = randomFillSync(new Uint32Array(DIGEST_BYTES));

/** Different digests, by the order in which they were added. */
export class DigestTable {
  readonly #digests = new DigestList();
  /** A power of two of them, at most half of them used. */
  #slots = new Uint32Array(2 * FIRST_CAPACITY);

  get size(): number {
    return this.#digests.count;
  }

  get bytes(): Buffer {
    return this.#digests.bytes;
  }

  /** The index in this table of the digest at `index` of a list, or -1. */
  find(digests: Buffer, index: number): number {
    return this.#slots[this.#findSlot(digests, index)]! - 1;
  }

  /** False for a digest that was here already. */
  add(digests: Buffer, index: number): boolean {
    const slot = this.#findSlot(digests, index);
    if (this.#slots[slot] !== EMPTY) return false;
    this.#digests.append(digests, index);
    this.#slots[slot] = this.size;
    if (2 * this.size > this.#slots.length) this.#grow();
    return true;
  }

  #findSlot(digests: Buffer, index: number): number {
    const start = index * DIGEST_BYTES;
    const mask = this.#slots.length - 1;
    const known = this.#digests.bytes;
    const first = hashDigest(digests, start) >>> Math.clz32(mask);
    for (let slot = first; ; slot = (slot + 1) & mask) {
      const candidate = this.#slots[slot]!;
      if (candidate === EMPTY) return slot;
      if (isSame(known, (candidate - 1) * DIGEST_BYTES, digests, start)) return slot;
    }
  }

  #grow(): void {
    this.#slots = new Uint32Array(2 * this.#slots.length);
    const { bytes } = this;
    for (let index = 0; index < this.size; index++) this.#slots[this.#findSlot(bytes, index)] = index + 1;
  }
}

function hashDigest(digests: Buffer, start: number): number {
  let sum = 0;
  for (let byte = 0; byte < DIGEST_BYTES; byte++)
    sum = (sum + Math.imul(digests[start + byte]!, MULTIPLIERS[byte]!)) | 0;
  return sum;
}

/** The first bytes mostly decide; a call of `Buffer.compare` costs more than this loop. */
function isSame(left: Buffer, leftAt: number, right: Buffer, rightAt: number): boolean {
  for (let byte = 0; byte < DIGEST_BYTES; byte++)
    if (left[leftAt + byte] !== right[rightAt + byte]) return false;
  return true;
}
