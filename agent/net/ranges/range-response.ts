/**
 * What a server returned for a request for ranges: parts in any order, one part, or the whole file.
 * RFC 9110, sections 14.4 and 15.3.7: only its Content-Range identifies a part.
 */
import { type ByteRange, mergeRanges, type RangePiece } from "../../archive/byte-range.ts";
import type { HttpResponse } from "../http/http-message.ts";
import { parseContentRange } from "../http/range-headers.ts";
import { MULTIPART_HEADER_MAX_BYTES } from "../limits.ts";
import { parseMultipartBoundary, readMultipartRanges } from "./multipart-byteranges.ts";

/** The pieces of a 206, whatever they cover; undefined for a response without ranges. */
export function readParts(response: HttpResponse): AsyncIterable<RangePiece> | undefined {
  if (response.status !== 206) return undefined;
  const boundary = parseMultipartBoundary(response.headers["content-type"] ?? "");
  if (boundary !== undefined) return readMultipartRanges(response.body, boundary);
  const range = parseContentRange(response.headers["content-range"]);
  return range && locatePieces(response.body, range.start);
}

/** Chunks of a file from `start` on, with their offsets. */
export async function* locatePieces(
  chunks: AsyncIterable<Buffer>,
  start: number,
): AsyncGenerator<RangePiece> {
  let offset = start;
  for await (const bytes of chunks) {
    yield { offset, bytes };
    offset += bytes.length;
  }
}

/** Tracks which bytes are still missing; lets each byte of each range pass once, in order. */
export class WantedRanges {
  readonly #ranges: ByteRange[];

  /** The ranges must not overlap. */
  constructor(ranges: readonly ByteRange[]) {
    this.#ranges = ranges.map((range) => ({ ...range }));
  }

  /** The parts of a piece that are still missing. */
  *accept({ offset, bytes }: RangePiece): Generator<RangePiece> {
    const end = offset + bytes.length;
    for (const range of this.#ranges) {
      if (range.start < offset || range.start >= Math.min(end, range.end)) continue;
      const piece = bytes.subarray(range.start - offset, Math.min(end, range.end) - offset);
      yield { offset: range.start, bytes: piece };
      range.start += piece.length;
    }
  }

  get missing(): ByteRange[] {
    return this.#ranges.filter(({ start, end }) => start < end);
  }
}

/** The largest valid response: the span of the requested ranges, and the headers of the parts. */
export function limitResponse(ranges: readonly ByteRange[]): number {
  const [span] = mergeRanges(ranges, Number.POSITIVE_INFINITY);
  if (span === undefined) return 0;
  return span.end - span.start + (ranges.length + 1) * MULTIPART_HEADER_MAX_BYTES;
}
