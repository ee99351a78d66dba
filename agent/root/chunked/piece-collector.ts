/**
 * Takes the fetched bytes of a chunked blob, in any order of the ranges, and makes frames of them: chunks of files,
 * which are written at once, and tar headers, which wait for their turn.
 */

import type { RangePiece } from "../../archive/byte-range.ts";
import type { FrameDecoder } from "../../archive/zstd-chunked/frame-decoder.ts";
import type { MissingPiece } from "../../archive/zstd-chunked/plan-ranges.ts";
import { AgentError } from "../../errors.ts";
import type { ChunkedFiles } from "./staged-files.ts";

export interface PieceTakers {
  files: ChunkedFiles;
  decoder: FrameDecoder;
  /** Compressed frames of tar headers, by where they start. */
  onHeaders: (start: number, frames: Buffer) => void;
}

export class PieceCollector {
  /** Sorted, and without overlap: the table was checked for that. */
  readonly #pieces: readonly MissingPiece[];
  readonly #takers: PieceTakers;
  /** Bytes of pieces that have begun to arrive, by index. */
  readonly #partial = new Map<number, { bytes: Buffer; filled: number }>();
  #missing: number;

  constructor(pieces: readonly MissingPiece[], takers: PieceTakers) {
    this.#pieces = pieces;
    this.#takers = takers;
    this.#missing = pieces.length;
  }

  /** Pieces that have not come. */
  get missing(): number {
    return this.#missing;
  }

  /** Bytes between the pieces are of no use; those of one piece come in order. Throws CHUNKED_BAD_FRAME. */
  push({ offset, bytes }: RangePiece): void {
    const end = offset + bytes.length;
    for (let index = this.#findFirst(offset); index < this.#pieces.length; index++) {
      const piece = this.#pieces[index]!;
      if (piece.start >= end) return;
      const from = Math.max(offset, piece.start);
      this.#add(index, piece, from, bytes.subarray(from - offset, Math.min(end, piece.end) - offset));
    }
  }

  /** The first piece that ends behind `offset`. */
  #findFirst(offset: number): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#pieces[middle]!.end > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #add(index: number, piece: MissingPiece, offset: number, bytes: Buffer): void {
    const sizeBytes = piece.end - piece.start;
    if (bytes.length === sizeBytes) {
      this.#take(piece, bytes);
      return;
    }
    let partial = this.#partial.get(index);
    if (!partial) {
      partial = { bytes: Buffer.allocUnsafeSlow(sizeBytes), filled: 0 };
      this.#partial.set(index, partial);
    }
    if (offset !== piece.start + partial.filled) {
      throw new AgentError("BUG_UNEXPECTED", `Cannot use bytes at ${offset}: others should come before them`);
    }
    partial.filled += bytes.copy(partial.bytes, partial.filled);
    if (partial.filled < sizeBytes) return;
    this.#partial.delete(index);
    this.#take(piece, partial.bytes);
  }

  #take(piece: MissingPiece, bytes: Buffer): void {
    this.#missing--;
    if (piece.kind === "headers") {
      this.#takers.onHeaders(piece.start, Buffer.from(bytes));
      return;
    }
    const { file, chunk } = piece;
    this.#takers.files.addChunk(file, chunk, this.#takers.decoder.decode(bytes, chunk.sizeBytes));
  }
}
