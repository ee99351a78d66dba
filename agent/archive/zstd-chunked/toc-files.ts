/**
 * The files of a table of contents, as bytes: 64 and its name for a file, 65 more for each chunk of a file in several.
 * As objects of JavaScript 110,000 files were 100 MB. A view of one file is made when somebody asks for it.
 */

import { DIGEST_BYTES, type DigestTable, NO_DIGEST, readDigest } from "../digest-table.ts";
import { GrowingBytes } from "../growing-bytes.ts";
import type { TocChunk, TocFile } from "./toc-entry.ts";

/** Where fields stand in a file's record, behind its digest. All numbers are little endian. */
const FILE = { sizeBytes: 32, start: 40, end: 48, nameEnd: 56, chunkEnd: 60 } as const;
const FILE_BYTES = 64;
/** In a chunk's record, likewise. */
const CHUNK = { offset: 32, endOffset: 40, fileOffset: 48, sizeBytes: 56, isZeros: 64 } as const;
const CHUNK_BYTES = 65;

export class TocFiles implements Iterable<TocFile> {
  readonly #files = new GrowingBytes();
  readonly #names = new GrowingBytes();
  /** Of files that are not one frame of content. */
  readonly #chunks = new GrowingBytes();
  #isSorted = true;

  get length(): number {
    return this.#files.length / FILE_BYTES;
  }

  /** A file all of whose chunks are known. */
  add({ name, sizeBytes, digest, chunks }: TocFile): void {
    const start = chunks[0]!.offset;
    const end = chunks.at(-1)!.endOffset;
    this.#isSorted &&= this.length === 0 || this.startOf(this.length - 1) <= start;
    this.#names.reserve(name.length).write(name, "latin1");
    if (chunks.length > 1 || chunks[0]!.isZeros) for (const chunk of chunks) this.#addChunk(chunk);
    const record = this.#files.reserve(FILE_BYTES);
    record.write(digest, "hex");
    record.writeDoubleLE(sizeBytes, FILE.sizeBytes);
    record.writeDoubleLE(start, FILE.start);
    record.writeDoubleLE(end, FILE.end);
    record.writeUInt32LE(this.#names.length, FILE.nameEnd);
    record.writeUInt32LE(this.#chunks.length / CHUNK_BYTES, FILE.chunkEnd);
  }

  /** The same files in the order of their bytes in the blob. */
  sort(): TocFiles {
    if (this.#isSorted) return this;
    const order = Array.from({ length: this.length }, (_, number) => number);
    order.sort((left, right) => this.startOf(left) - this.startOf(right));
    const sorted = new TocFiles();
    for (const number of order) sorted.add(this.at(number)!);
    return sorted;
  }

  /** sha256 of each file's content, 32 bytes each. */
  copyDigests(): Buffer<ArrayBuffer> {
    const digests = Buffer.allocUnsafeSlow(this.length * DIGEST_BYTES);
    const { room } = this.#files;
    for (let number = 0; number < this.length; number++) {
      const at = number * FILE_BYTES;
      room.copy(digests, number * DIGEST_BYTES, at, at + DIGEST_BYTES);
    }
    return digests;
  }

  /** sha256 of its content, in hex. */
  digestOf(number: number): string {
    const at = number * FILE_BYTES;
    return this.#files.room.toString("hex", at, at + DIGEST_BYTES);
  }

  sizeOf(number: number): number {
    return this.#files.room.readDoubleLE(number * FILE_BYTES + FILE.sizeBytes);
  }

  /** Where its frames begin in the blob. */
  startOf(number: number): number {
    return this.#files.room.readDoubleLE(number * FILE_BYTES + FILE.start);
  }

  /** Where they end. */
  endOf(number: number): number {
    return this.#files.room.readDoubleLE(number * FILE_BYTES + FILE.end);
  }

  /** It is one frame, so that its content has no chunks that others could share. */
  isOneFrame(number: number): boolean {
    return this.#chunkEndOf(number) === this.#chunkEndOf(number - 1);
  }

  /** One of its chunks is among these sha256 digests. */
  sharesChunk(number: number, digests: DigestTable): boolean {
    const end = this.#chunkEndOf(number);
    for (let chunk = this.#chunkEndOf(number - 1); chunk < end; chunk++)
      if (digests.find(this.#chunks.room, chunk * CHUNK_BYTES) >= 0) return true;
    return false;
  }

  at(number: number): TocFile | undefined {
    if (number >= this.length) return undefined;
    const nameStart = number === 0 ? 0 : this.#readUInt32(number - 1, FILE.nameEnd);
    const sizeBytes = this.sizeOf(number);
    const digest = this.digestOf(number);
    return {
      name: this.#names.room.toString("latin1", nameStart, this.#readUInt32(number, FILE.nameEnd)),
      sizeBytes,
      digest,
      chunks: this.isOneFrame(number)
        ? [
            {
              offset: this.startOf(number),
              endOffset: this.endOf(number),
              fileOffset: 0,
              sizeBytes,
              digest,
              isZeros: false,
            },
          ]
        : this.#readChunks(number),
    };
  }

  *[Symbol.iterator](): Generator<TocFile> {
    for (let number = 0; number < this.length; number++) yield this.at(number)!;
  }

  #addChunk({ offset, endOffset, fileOffset, sizeBytes, digest, isZeros }: TocChunk): void {
    const record = this.#chunks.reserve(CHUNK_BYTES);
    record.write(digest ?? NO_DIGEST, "hex");
    record.writeDoubleLE(offset, CHUNK.offset);
    record.writeDoubleLE(endOffset, CHUNK.endOffset);
    record.writeDoubleLE(fileOffset, CHUNK.fileOffset);
    record.writeDoubleLE(sizeBytes, CHUNK.sizeBytes);
    record[CHUNK.isZeros] = isZeros ? 1 : 0;
  }

  #readChunks(file: number): TocChunk[] {
    const chunks: TocChunk[] = [];
    for (let number = this.#chunkEndOf(file - 1); number < this.#chunkEndOf(file); number++) {
      const record = this.#chunks.room.subarray(number * CHUNK_BYTES, (number + 1) * CHUNK_BYTES);
      const digest = readDigest(record, 0);
      chunks.push({
        offset: record.readDoubleLE(CHUNK.offset),
        endOffset: record.readDoubleLE(CHUNK.endOffset),
        fileOffset: record.readDoubleLE(CHUNK.fileOffset),
        sizeBytes: record.readDoubleLE(CHUNK.sizeBytes),
        digest: digest === NO_DIGEST ? undefined : digest,
        isZeros: record[CHUNK.isZeros] === 1,
      });
    }
    return chunks;
  }

  #chunkEndOf(file: number): number {
    return file < 0 ? 0 : this.#readUInt32(file, FILE.chunkEnd);
  }

  #readUInt32(file: number, field: number): number {
    return this.#files.room.readUInt32LE(file * FILE_BYTES + field);
  }
}
