/**
 * Decides in the worker how a chunked archive is had: which pieces are fetched, or the whole, and says it for people.
 */
import { FrameDecoder } from "../../archive/zstd-chunked/frame-decoder.ts";
import { type MissingPiece, type PlanOptions, planPull } from "../../archive/zstd-chunked/plan-ranges.ts";
import type { Toc } from "../../archive/zstd-chunked/toc.ts";
import { AgentError } from "../../errors.ts";
import { CHUNK_FRAME_MAX_BYTES, HEADER_FRAMES_MAX_BYTES } from "../limits.ts";
import type { RebuildJob, RebuildPlan } from "../unpack/messages.ts";

export interface PlannedPieces {
  plan: RebuildPlan;
  pieces: MissingPiece[];
}

/** Throws CHUNKED_TOO_LARGE where the whole is no way out. */
export function planPieces(
  job: RebuildJob,
  toc: Toc,
  options: Pick<PlanOptions, "hasFile" | "hasChunk" | "needsHeaders">,
): PlannedPieces {
  const { choice, reason, pieces, requests, partialBytes, missingFiles } = planPull(toc, {
    blobBytes: job.blobBytes,
    dataEnd: job.dataEnd,
    spentBytes: job.spentBytes,
    ...options,
    ...(job.isTableBound && { maxShare: Number.POSITIVE_INFINITY }),
  });
  const fault = choice === "partial" ? findTooLarge(pieces) : undefined;
  if (fault !== undefined && job.isTableBound)
    throw new AgentError("CHUNKED_TOO_LARGE", `Cannot fetch the archive in parts: ${fault}`);
  const plan: RebuildPlan = {
    choice: fault === undefined ? choice : "whole",
    reason: fault === undefined ? reason : `whole: ${fault}`,
    ranges: requests.flatMap(({ ranges }) => ranges),
    rangeBytes: partialBytes,
    requests: requests.length,
    files: toc.files.length,
    missingFiles,
  };
  return { plan, pieces };
}

/** What must be whole in memory and does not fit. */
function findTooLarge(pieces: readonly MissingPiece[]): string | undefined {
  let headerBytes = 0;
  for (const piece of pieces) {
    const sizeBytes = piece.end - piece.start;
    if (piece.kind === "headers") headerBytes += sizeBytes;
    else if (sizeBytes > CHUNK_FRAME_MAX_BYTES || !FrameDecoder.fitsMemory(piece.chunk.sizeBytes))
      return `a chunk of "${piece.file.name}" has ${piece.chunk.sizeBytes} bytes, too many for one piece`;
  }
  return headerBytes > HEADER_FRAMES_MAX_BYTES ? `${headerBytes} bytes of tar headers` : undefined;
}
