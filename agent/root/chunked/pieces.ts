/**
 * Pieces of a chunked blob: plans which of them to fetch, and turns fetched bytes, in any order of the ranges, into frames.
 * Chunks of files are written at once; frames of tar headers wait for their turn.
 */
import type { RangePiece } from "../../archive/byte-range.ts";
import { FrameDecoder } from "../../archive/zstd-chunked/frame-decoder.ts";
import { type MissingPiece, type PlanOptions, planPull } from "../../archive/zstd-chunked/plan-ranges.ts";
import type { Toc } from "../../archive/zstd-chunked/toc.ts";
import { AgentError } from "../../errors.ts";
import { CHUNK_FRAME_MAX_BYTES, HEADER_FRAMES_MAX_BYTES } from "../limits.ts";
import type { RebuildJob, RebuildPlan } from "../unpack/messages.ts";
import type { StagedFiles } from "./staged-files.ts";

/** Throws CHUNKED_TOO_LARGE when a full download is not allowed. */
export function planPieces(
  job: RebuildJob,
  toc: Toc,
  options: Pick<PlanOptions, "hasFile" | "hasChunk" | "needsHeaders">,
): { plan: RebuildPlan; pieces: MissingPiece[] } {
  const { choice, reason, pieces, requests, partialBytes, missingFiles } = planPull(toc, {
    blobBytes: job.blobBytes,
    dataEnd: job.dataEnd,
    spentBytes: job.spentBytes,
    ...options,
    ...(job.isTableBound && { maxShare: Number.POSITIVE_INFINITY }),
  });
  const tooLarge = choice === "partial" ? findTooLarge(pieces) : undefined;
  if (tooLarge !== undefined && job.isTableBound)
    throw new AgentError("CHUNKED_TOO_LARGE", `Cannot pull the archive partially: ${tooLarge}`);
  const plan: RebuildPlan = {
    choice: tooLarge === undefined ? choice : "whole",
    reason: tooLarge ?? reason,
    ranges: requests.flatMap(({ ranges }) => ranges),
    rangeBytes: partialBytes,
    requests: requests.length,
    files: toc.files.length,
    missingFiles,
  };
  return { plan, pieces };
}

/** Describes a piece that must be in memory as a whole and does not fit. */
function findTooLarge(pieces: readonly MissingPiece[]): string | undefined {
  let headerBytes = 0;
  for (const piece of pieces) {
    const sizeBytes = piece.end - piece.start;
    if (piece.kind === "headers") headerBytes += sizeBytes;
    else if (sizeBytes > CHUNK_FRAME_MAX_BYTES || !FrameDecoder.fitsMemory(piece.chunk.sizeBytes))
      return `a chunk of "${piece.file.name}" has ${piece.chunk.sizeBytes} bytes, which exceeds the limit`;
  }
  return headerBytes > HEADER_FRAMES_MAX_BYTES ? `the tar headers have ${headerBytes} bytes` : undefined;
}

export interface PieceConsumers {
  files: StagedFiles;
  decoder: FrameDecoder;
  /** Compressed frames of tar headers, by their start in the blob. */
  onHeaders: (start: number, frames: Buffer) => void;
}

export class PieceCollector {
  /** Sorted and without overlap: the TOC was checked for that. */
  readonly #pieces: readonly MissingPiece[];
  readonly #consumers: PieceConsumers;
  /** Incomplete pieces by index. */
  readonly #partial = new Map<number, { bytes: Buffer; filled: number }>();
  #missing: number;

  constructor(pieces: readonly MissingPiece[], consumers: PieceConsumers) {
    this.#pieces = pieces;
    this.#consumers = consumers;
    this.#missing = pieces.length;
  }

  /** How many pieces are not complete. */
  get missing(): number {
    return this.#missing;
  }

  /** Ignores bytes between the pieces; those of one piece arrive in order. Throws CHUNKED_BAD_FRAME. */
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
      this.#consume(piece, bytes);
      return;
    }
    const partial = this.#partial.get(index) ?? { bytes: Buffer.allocUnsafeSlow(sizeBytes), filled: 0 };
    this.#partial.set(index, partial);
    if (offset !== piece.start + partial.filled)
      throw new AgentError(
        "BUG_UNEXPECTED",
        `Cannot use the bytes at ${offset} of a chunked blob: they are out of order`,
      );
    partial.filled += bytes.copy(partial.bytes, partial.filled);
    if (partial.filled < sizeBytes) return;
    this.#partial.delete(index);
    this.#consume(piece, partial.bytes);
  }

  #consume(piece: MissingPiece, bytes: Buffer): void {
    const { files, decoder, onHeaders } = this.#consumers;
    this.#missing--;
    if (piece.kind === "headers") onHeaders(piece.start, Buffer.from(bytes));
    else files.addChunk(piece.file, piece.chunk, decoder.decode(bytes, piece.chunk.sizeBytes));
  }
}
