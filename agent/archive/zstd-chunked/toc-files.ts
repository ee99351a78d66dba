/**
 * The files of a TOC. Fields are kept in arrays, and a file becomes an object only when it is asked for: as objects,
 * 110,000 files took 100 MB.
 */

import { DigestList, readDigest } from "../digests.ts";
import type { TocChunk, TocFile } from "./toc-entry.ts";

export class TocFiles implements Iterable<TocFile> {
  readonly #names: string[] = [];
  readonly #sizes: number[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  readonly #digests = new DigestList();
  /** By the file's index, of files that are not a single frame of content. */
  readonly #chunks = new Map<number, TocChunk[]>();
  #isSorted = true;

  get length(): number {
    return this.#names.length;
  }

  /** A file with all of its chunks. */
  add({ name, sizeBytes, digest, chunks }: TocFile): void {
    const start = chunks[0]!.offset;
    this.#isSorted &&= this.length === 0 || this.#starts.at(-1)! <= start;
    if (chunks.length > 1 || chunks[0]!.isZeros) this.#chunks.set(this.length, chunks);
    this.#names.push(name);
    this.#sizes.push(sizeBytes);
    this.#starts.push(start);
    this.#ends.push(chunks.at(-1)!.endOffset);
    this.#digests.push(digest);
  }

  /** The same files in the order of their bytes in the blob. */
  sort(): TocFiles {
    if (this.#isSorted) return this;
    const sorted = new TocFiles();
    const order = [...this.#starts.keys()].sort((left, right) => this.#starts[left]! - this.#starts[right]!);
    for (const index of order) sorted.add(this.at(index)!);
    return sorted;
  }

  /** sha256 of each file's content, 32 bytes each, in memory of their own. */
  copyDigests(): Buffer<ArrayBuffer> {
    const { bytes } = this.#digests;
    const copy = Buffer.allocUnsafeSlow(bytes.length);
    bytes.copy(copy);
    return copy;
  }

  /** sha256 of the content, in hex. */
  digestOf(index: number): string {
    return readDigest(this.#digests.bytes, index);
  }

  sizeOf(index: number): number {
    return this.#sizes[index]!;
  }

  /** Where the file's frames begin in the blob. */
  startOf(index: number): number {
    return this.#starts[index]!;
  }

  /** Where they end, exclusive. */
  endOf(index: number): number {
    return this.#ends[index]!;
  }

  /** Undefined for a file that is a single frame, whose content has no chunks that other files could share. */
  chunksOf(index: number): readonly TocChunk[] | undefined {
    return this.#chunks.get(index);
  }

  at(index: number): TocFile | undefined {
    if (index >= this.length) return undefined;
    const sizeBytes = this.#sizes[index]!;
    const digest = this.digestOf(index);
    const [offset, endOffset] = [this.#starts[index]!, this.#ends[index]!];
    const whole = { offset, endOffset, fileOffset: 0, sizeBytes, digest, isZeros: false };
    return { name: this.#names[index]!, sizeBytes, digest, chunks: this.#chunks.get(index) ?? [whole] };
  }

  *[Symbol.iterator](): Generator<TocFile> {
    for (let index = 0; index < this.length; index++) yield this.at(index)!;
  }
}
