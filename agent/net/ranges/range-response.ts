/**
 * What a server made of a request for ranges: parts in any order, one part, or the whole body.
 * RFC 9110, sections 14.4 and 15.3.7: parts are known by their Content-Range alone.
 */

import { type ByteRange, mergeRanges } from "../../archive/zstd-chunked/plan-ranges.ts";
import { parseContentRange } from "../http/content-range.ts";
import type { HttpResponse } from "../http/http-message.ts";
import { parseMultipartBoundary, readMultipartRanges } from "./multipart-byteranges.ts";

/** Bytes of the file from `offset` on. */
export interface RangePiece {
  offset: number;
  bytes: Buffer;
}

/** The pieces of a 206, whatever they cover; undefined for an answer that is no set of parts. */
export function readParts(response: HttpResponse): AsyncIterable<RangePiece> | undefined {
  if (response.status !== 206) return undefined;
  const boundary = parseMultipartBoundary(response.headers["content-type"] ?? "");
  if (boundary !== undefined) return readMultipartRanges(response.body, boundary);
  const range = parseContentRange(response.headers["content-range"]);
  return range && readPart(response.body, range.firstByte);
}

async function* readPart(body: AsyncIterable<Buffer>, start: number): AsyncGenerator<RangePiece> {
  let offset = start;
  for await (const bytes of body) {
    yield { offset, bytes };
    offset += bytes.length;
  }
}

/** Keeps what was wanted and has not come yet; each byte of each range is let through once, in order. */
export class WantedRanges {
  readonly #ranges: ByteRange[];

  /** Ranges that do not overlap. */
  constructor(ranges: readonly ByteRange[]) {
    this.#ranges = ranges.map((range) => ({ ...range }));
  }

  /** What is wanted of a piece. */
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

/** The most that an honest answer may hold: the span of what was asked for, and the parts' own headers. */
export function boundAnswer(ranges: readonly ByteRange[], partBytes: number): number {
  const [span] = mergeRanges(ranges, Number.POSITIVE_INFINITY);
  return span === undefined ? 0 : span.end - span.start + (ranges.length + 1) * partBytes;
}
