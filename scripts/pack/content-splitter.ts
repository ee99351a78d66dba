/**
 * Splits a file's content into content-defined chunks, so that a small change affects few of them.
 * The rule of containers/storage: bup's rolling sum over 64 bytes, 64 KiB on average; runs of zeros are separate chunks.
 */

import { CHUNK_MAX_BYTES } from "./limits.ts";

const WINDOW_BYTES = 64;
const CHARACTER_OFFSET = 31;
const SPLIT_MASK = 0xffff;
/** Consecutive zeros that become a hole. */
const HOLE_BYTES = 1024;

export interface ContentChunk {
  /** Valid during the call only. */
  bytes: Buffer;
  isZeros: boolean;
}

/** For each file, `push` its bytes, then `finish`. A chunk has at most CHUNK_MAX_BYTES, all of which are held in memory. */
export class ContentSplitter {
  readonly #onChunk: (chunk: ContentChunk) => void;
  readonly #chunk = Buffer.allocUnsafeSlow(CHUNK_MAX_BYTES);
  #zeros: Buffer | undefined;
  #chunkBytes = 0;
  /** Trailing zeros that may become a hole. */
  #zeroBytes = 0;
  readonly #window = new Uint8Array(WINDOW_BYTES);
  #windowAt = 0;
  #sum1 = 0;
  #sum2 = 0;

  constructor(onChunk: (chunk: ContentChunk) => void) {
    this.#onChunk = onChunk;
    this.#reset();
  }

  /** The sums are local variables during a run without zeros, because the loop runs for every byte. */
  push(bytes: Uint8Array): void {
    let index = 0;
    while (index < bytes.length) {
      if (bytes[index] === 0) {
        index = this.#countZeros(bytes, index);
      } else {
        if (this.#zeroBytes > 0) this.#endZeros();
        index = this.#addRun(bytes, index);
      }
    }
  }

  #countZeros(bytes: Uint8Array, from: number): number {
    let index = from;
    while (index < bytes.length && bytes[index] === 0) {
      index++;
      this.#zeroBytes++;
      if (this.#zeroBytes === HOLE_BYTES) this.#cut();
      else if (this.#zeroBytes === CHUNK_MAX_BYTES) this.#endHole();
    }
    return index;
  }

  /** Adds bytes up to a border, a long run of zeros, or the end. */
  #addRun(bytes: Uint8Array, from: number): number {
    const chunk = this.#chunk;
    const window = this.#window;
    const end = Math.min(bytes.length, from + CHUNK_MAX_BYTES - this.#chunkBytes);
    const chunkStart = this.#chunkBytes - from;
    let windowAt = this.#windowAt;
    let sum1 = this.#sum1;
    let sum2 = this.#sum2;
    let index = from;
    /** Zeros before this index are known not to be a hole. */
    let dataEnd = from;
    let isBorder = false;
    while (index < end && !isBorder) {
      const byte = bytes[index]!;
      if (byte === 0 && index >= dataEnd) {
        dataEnd = endOfShortRun(bytes, index);
        // It may become a hole, so it is counted first.
        if (dataEnd === index) break;
      }
      chunk[chunkStart + index] = byte;
      const dropped = window[windowAt]!;
      window[windowAt] = byte;
      windowAt = (windowAt + 1) & (WINDOW_BYTES - 1);
      sum1 = (sum1 + byte - dropped) | 0;
      sum2 = (sum2 + sum1 - WINDOW_BYTES * (dropped + CHARACTER_OFFSET)) | 0;
      isBorder = (sum2 & SPLIT_MASK) === SPLIT_MASK;
      index++;
    }
    this.#windowAt = windowAt;
    this.#sum1 = sum1;
    this.#sum2 = sum2;
    this.#chunkBytes = chunkStart + index;
    if (isBorder || this.#chunkBytes === CHUNK_MAX_BYTES) this.#cut();
    return index;
  }

  /** Ends the file; the splitter is ready for the next one. */
  finish(): void {
    this.#endZeros();
    this.#cut();
    this.#reset();
  }

  #reset(): void {
    this.#window.fill(0);
    this.#windowAt = 0;
    this.#sum1 = WINDOW_BYTES * CHARACTER_OFFSET;
    this.#sum2 = (WINDOW_BYTES * (WINDOW_BYTES - 1) * CHARACTER_OFFSET) | 0;
  }

  #add(byte: number): void {
    this.#chunk[this.#chunkBytes++] = byte;
    this.#roll(byte);
    const isBorder = (this.#sum2 & SPLIT_MASK) === SPLIT_MASK;
    if (isBorder || this.#chunkBytes === CHUNK_MAX_BYTES) this.#cut();
  }

  #roll(byte: number): void {
    const dropped = this.#window[this.#windowAt]!;
    this.#window[this.#windowAt] = byte;
    this.#windowAt = (this.#windowAt + 1) & (WINDOW_BYTES - 1);
    this.#sum1 = (this.#sum1 + byte - dropped) | 0;
    this.#sum2 = (this.#sum2 + this.#sum1 - WINDOW_BYTES * (dropped + CHARACTER_OFFSET)) | 0;
  }

  #endZeros(): void {
    if (this.#zeroBytes >= HOLE_BYTES) {
      this.#endHole();
      return;
    }
    const count = this.#zeroBytes;
    this.#zeroBytes = 0;
    for (let added = 0; added < count; added++) this.#add(0);
  }

  #endHole(): void {
    const count = this.#zeroBytes;
    this.#zeroBytes = 0;
    for (let rolled = 0; rolled < count; rolled++) this.#roll(0);
    this.#zeros ??= Buffer.alloc(CHUNK_MAX_BYTES);
    this.#onChunk({ bytes: this.#zeros.subarray(0, count), isZeros: true });
  }

  #cut(): void {
    if (this.#chunkBytes === 0) return;
    const bytes = this.#chunk.subarray(0, this.#chunkBytes);
    this.#chunkBytes = 0;
    this.#onChunk({ bytes, isZeros: false });
  }
}

/** The end of a run of zeros too short for a hole; its start when the run is long or reaches the end of the bytes. */
function endOfShortRun(bytes: Uint8Array, start: number): number {
  const limit = Math.min(bytes.length, start + HOLE_BYTES);
  for (let index = start + 1; index < limit; index++) if (bytes[index] !== 0) return index;
  return start;
}
