/**
 * Plans a partial pull of a zstd:chunked blob: which byte ranges to fetch, or that a full download is cheaper, and why.
 * Ranges near each other are merged, and a request has as many as fit below a server's limit for header lines.
 */

import { type ByteRange, mergeRanges } from "../byte-range.ts";
import {
  PARTIAL_PULL_MAX_SHARE,
  RANGE_GAP_BYTES,
  RANGE_HEADER_MAX_BYTES,
  RANGE_PART_COST_BYTES,
  RANGE_REQUEST_COST_BYTES,
} from "../limits.ts";
import type { Toc } from "./toc.ts";
import type { TocChunk, TocFile } from "./toc-entry.ts";

/** What to decode from fetched bytes: one zstd frame of a file, or the frames between the contents. */
export type MissingPiece = ByteRange &
  ({ kind: "chunk"; file: TocFile; chunk: TocChunk } | { kind: "headers" });

export interface RangeRequest {
  ranges: ByteRange[];
  /** The value of the Range header. */
  header: string;
}

export interface PullPlan {
  choice: "partial" | "whole";
  /** What was chosen and why, for the log. */
  reason: string;
  /** In the order of the blob. */
  pieces: MissingPiece[];
  requests: RangeRequest[];
  /** What the requests transfer, gaps included, without headers. */
  partialBytes: number;
  /** Different contents that are not in the store as a whole. */
  missingFiles: number;
}

export interface PlanOptions {
  blobBytes: number;
  /** Where the frames of the tables start; all frames before belong to the tar. */
  dataEnd: number;
  /** Bytes of the TOC and the tar-split that were fetched already. */
  spentBytes?: number;
  /** Whether the content of the file with this index in the TOC is in the store. */
  hasFile: (index: number) => boolean;
  /** Whether a file in the store has a chunk with this sha256 (hex). */
  hasChunk?: (digest: string) => boolean;
  /** Without a tar-split, the frames of the tar's headers are needed too, because the DiffID covers them. */
  needsHeaders: boolean;
  maxHeaderBytes?: number;
  /** Ranges of a request. */
  maxRanges?: number;
  /** Largest share of a full download that a partial pull may cost. */
  maxShare?: number;
}

export function planPull(toc: Toc, options: PlanOptions): PullPlan {
  const { blobBytes, spentBytes = 0, maxShare = PARTIAL_PULL_MAX_SHARE } = options;
  const { pieces, missingFiles } = findMissingPieces(toc, options);
  const ranges = mergeRanges(pieces, RANGE_GAP_BYTES);
  const requests = groupRanges(ranges, options);
  const partialBytes = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  const cost =
    spentBytes +
    partialBytes +
    ranges.length * RANGE_PART_COST_BYTES +
    requests.length * RANGE_REQUEST_COST_BYTES;
  const choice = cost <= blobBytes * maxShare ? "partial" : "whole";
  const share = blobBytes === 0 ? 100 : Math.round((100 * cost) / blobBytes);
  const counts = `${ranges.length} range${ranges.length === 1 ? "" : "s"} in ${requests.length} request${requests.length === 1 ? "" : "s"}`;
  let reason = `partial: ${counts} cost ${share} % of the whole`;
  if (choice === "whole")
    reason = `${counts} would cost ${share} % of it, more than ${Math.round(100 * maxShare)} %`;
  else if (ranges.length === 0) reason = "partial: every file is here already";
  return { choice, reason, pieces, requests, partialBytes, missingFiles };
}

/** Each content once, however many files have it; never zeros. */
function findMissingPieces(
  toc: Toc,
  { dataEnd, hasFile, hasChunk = () => false, needsHeaders }: PlanOptions,
): Pick<PullPlan, "pieces" | "missingFiles"> {
  const { files } = toc;
  const pieces: MissingPiece[] = [];
  const planned = new Set<string>();
  for (let index = 0; index < files.length; index++) {
    if (hasFile(index) || planned.has(files.digestOf(index))) continue;
    const file = files.at(index)!;
    planned.add(file.digest);
    for (const chunk of file.chunks) {
      if (chunk.isZeros || hasChunk(chunk.digest!)) continue;
      pieces.push({ kind: "chunk", file, chunk, start: chunk.offset, end: chunk.endOffset });
    }
  }
  if (needsHeaders)
    for (const range of findHeaderRanges(toc, dataEnd)) pieces.push({ kind: "headers", ...range });
  pieces.sort((left, right) => left.start - right.start);
  return { pieces, missingFiles: planned.size };
}

/** The bytes before, between and after the contents: frames of headers, padding and the archive's end. */
export function findHeaderRanges({ files }: Toc, dataEnd: number): ByteRange[] {
  const ranges: ByteRange[] = [];
  let end = 0;
  for (let index = 0; index < files.length; index++) {
    const start = files.startOf(index);
    if (start > end) ranges.push({ start: end, end: start });
    end = files.endOf(index);
  }
  if (dataEnd > end) ranges.push({ start: end, end: dataEnd });
  return ranges;
}

/** As few requests as the limits allow; the order is kept. */
export function groupRanges(
  ranges: readonly ByteRange[],
  {
    maxHeaderBytes = RANGE_HEADER_MAX_BYTES,
    maxRanges = Number.POSITIVE_INFINITY,
  }: Pick<PlanOptions, "maxHeaderBytes" | "maxRanges"> = {},
): RangeRequest[] {
  const requests: RangeRequest[] = [];
  for (const range of ranges) {
    const text = `${range.start}-${range.end - 1}`;
    const last = requests.at(-1);
    const fits = last !== undefined && last.ranges.length < maxRanges;
    if (fits && last.header.length + 1 + text.length <= maxHeaderBytes) {
      last.ranges.push(range);
      last.header += `,${text}`;
    } else {
      requests.push({ ranges: [range], header: `bytes=${text}` });
    }
  }
  return requests;
}
