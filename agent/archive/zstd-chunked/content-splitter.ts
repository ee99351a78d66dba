/**
 * Cuts a file's content into chunks at places that its bytes decide, so that a small change moves few borders.
 * containers/storage's rule: bup's rolling sum over 64 bytes, 64 KiB on average; runs of zeros stand alone.
 */

import { CHUNK_MAX_BYTES } from "../../limits.ts";

const WINDOW_BYTES = 64;
const CHARACTER_OFFSET = 31;
const SPLIT_MASK = 0xffff;
/** Zeros in a row that make a hole. */
const HOLE_BYTES = 1024;

export interface ContentChunk {
  /** Valid during the call alone. */
  bytes: Buffer;
  isZeros: boolean;
}

/** Give it one file: `push` its bytes, then `finish`. Chunks are at most CHUNK_MAX_BYTES, which is also what it holds. */
export class ContentSplitter {
  readonly #onChunk: (chunk: ContentChunk) => void;
  readonly #chunk = Buffer.allocUnsafeSlow(CHUNK_MAX_BYTES);
  #zeros: Buffer | undefined;
  #chunkBytes = 0;
  /** Zeros seen last that may become a hole. */
  #zeroBytes = 0;
  readonly #window = new Uint8Array(WINDOW_BYTES);
  #windowAt = 0;
  #sum1 = 0;
  #sum2 = 0;

  constructor(onChunk: (chunk: ContentChunk) => void) {
    this.#onChunk = onChunk;
    this.#reset();
  }

  push(bytes: Uint8Array): void {
    for (let index = 0; index < bytes.length; index++) {
      const byte = bytes[index]!;
      if (byte === 0) {
        this.#zeroBytes++;
        if (this.#zeroBytes === HOLE_BYTES) this.#cut();
        else if (this.#zeroBytes === CHUNK_MAX_BYTES) this.#endHole();
        continue;
      }
      if (this.#zeroBytes > 0) this.#endZeros();
      this.#add(byte);
    }
  }

  /** Ends the file; the splitter is ready for the next. */
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
