/**
 * Decides which byte ranges of a zstd:chunked blob to fetch, or that the whole blob is cheaper, and says why.
 * Pieces near each other are fetched as one range, and ranges go several to a request below a server's header limit.
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

/** Something to make out of fetched bytes: one zstd frame of a file, or the frames between the contents. */
export type MissingPiece = ByteRange &
  ({ kind: "chunk"; file: TocFile; chunk: TocChunk } | { kind: "headers" });

export interface RangeRequest {
  ranges: ByteRange[];
  /** The value of the Range header. */
  header: string;
}

export interface PullPlan {
  choice: "partial" | "whole";
  /** One sentence for the log: what was chosen and why. */
  reason: string;
  /** In the order of the blob; of a whole pull too, for whoever wants to see them. */
  pieces: MissingPiece[];
  requests: RangeRequest[];
  /** What the requests transfer, gaps included, without headers. */
  partialBytes: number;
  wholeBytes: number;
  /** Different contents that are not here as a whole. */
  missingFiles: number;
  /** Of files that are here already: their plain bytes and their number. */
  reusedBytes: number;
  reusedFiles: number;
}

export interface PlanOptions {
  /** Size of the blob. */
  blobBytes: number;
  /** Where the tables' frames start: everything before is frames of tar. */
  dataEnd: number;
  /** Already fetched for the plan: table and tar-split. */
  spentBytes?: number;
  /** Whether the content of the file with this number in the table is here. */
  hasFile: (number: number) => boolean;
  /** Whether a piece of content with this sha256 (hex) can be had from a file that is here. */
  hasChunk?: (digest: string, sizeBytes: number) => boolean;
  /** Without a tar-split the frames of tar headers are needed too: the DiffID is made of them. */
  needsHeaders: boolean;
  maxHeaderBytes?: number;
  gapBytes?: number;
  /** Ranges of a request: 1 for a server that answered a request for many with anything but parts. */
  maxRanges?: number;
  /** Largest share of the whole that a partial pull may cost. */
  maxShare?: number;
}

export function planPull(toc: Toc, options: PlanOptions): PullPlan {
  const { pieces, ...counts } = findMissingPieces(toc, options);
  const ranges = mergeRanges(pieces, options.gapBytes ?? RANGE_GAP_BYTES);
  const requests = groupRanges(ranges, options);
  const partialBytes = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  const cost =
    (options.spentBytes ?? 0) +
    partialBytes +
    ranges.length * RANGE_PART_COST_BYTES +
    requests.length * RANGE_REQUEST_COST_BYTES;
  const wholeBytes = options.blobBytes;
  const maxShare = options.maxShare ?? PARTIAL_PULL_MAX_SHARE;
  const choice = cost <= wholeBytes * maxShare ? "partial" : "whole";
  const reason = explainChoice(choice, {
    cost,
    wholeBytes,
    ranges: ranges.length,
    requests: requests.length,
    maxShare,
  });
  return { choice, reason, pieces, requests, partialBytes, wholeBytes, ...counts };
}

/** Each content once, however many files have it; zeros never. */
function findMissingPieces(
  toc: Toc,
  options: PlanOptions,
): Pick<PullPlan, "pieces" | "missingFiles" | "reusedBytes" | "reusedFiles"> {
  const { files } = toc;
  const pieces: MissingPiece[] = [];
  const planned = new Set<string>();
  let reusedBytes = 0;
  let reusedFiles = 0;
  for (let number = 0; number < files.length; number++) {
    if (options.hasFile(number) || planned.has(files.digestOf(number))) {
      reusedBytes += files.sizeOf(number);
      reusedFiles++;
      continue;
    }
    const file = files.at(number)!;
    planned.add(file.digest);
    for (const chunk of file.chunks) {
      const isHere = chunk.isZeros || (options.hasChunk?.(chunk.digest!, chunk.sizeBytes) ?? false);
      if (isHere) reusedBytes += chunk.sizeBytes;
      else pieces.push({ kind: "chunk", file, chunk, start: chunk.offset, end: chunk.endOffset });
    }
  }
  if (options.needsHeaders) {
    for (const gap of findHeaderRanges(toc, options.dataEnd)) pieces.push({ kind: "headers", ...gap });
  }
  pieces.sort((left, right) => left.start - right.start);
  return { pieces, missingFiles: planned.size, reusedBytes, reusedFiles };
}

/** The bytes before, between and behind the contents: the frames with headers, padding and the archive's end. */
export function findHeaderRanges({ files }: Toc, dataEnd: number): ByteRange[] {
  const ranges: ByteRange[] = [];
  let end = 0;
  for (let number = 0; number < files.length; number++) {
    const start = files.startOf(number);
    if (start > end) ranges.push({ start: end, end: start });
    end = files.endOf(number);
  }
  if (dataEnd > end) ranges.push({ start: end, end: dataEnd });
  return ranges;
}

const UNIT = "bytes=";

/** As few requests as headers of a bounded length allow; the order is kept. */
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
      requests.push({ ranges: [range], header: `${UNIT}${text}` });
    }
  }
  return requests;
}

/** One request for each range: for servers that do not answer many with many. */
export function splitRequest(request: RangeRequest): RangeRequest[] {
  return request.ranges.map((range) => ({
    ranges: [range],
    header: `${UNIT}${range.start}-${range.end - 1}`,
  }));
}

function explainChoice(
  choice: PullPlan["choice"],
  {
    cost,
    wholeBytes,
    ranges,
    requests,
    maxShare,
  }: Record<"cost" | "wholeBytes" | "ranges" | "requests" | "maxShare", number>,
): string {
  const share = wholeBytes === 0 ? 100 : Math.round((100 * cost) / wholeBytes);
  if (choice === "partial" && ranges === 0) return "partial: every file is here already";
  const counts = `${ranges} range${ranges === 1 ? "" : "s"} in ${requests} request${requests === 1 ? "" : "s"}`;
  if (choice === "partial") return `partial: ${counts} cost ${share} % of the whole`;
  return `${counts} would cost ${share} % of it, more than ${Math.round(100 * maxShare)} %`;
}
