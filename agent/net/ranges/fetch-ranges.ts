/**
 * Reads ranges of a file: several a request where the server can, several requests at a time, one by one where it must.
 * Whatever the server answers, the reader gets each byte it asked for once, or an error (RFC 9110, section 14).
 */

import { RANGE_REQUEST_COST_BYTES } from "../../archive/limits.ts";
import { type ByteRange, groupRanges, mergeRanges } from "../../archive/zstd-chunked/plan-ranges.ts";
import { AgentError, type ErrorCode } from "../../errors.ts";
import { parseContentRange } from "../http/content-range.ts";
import type { Failure } from "../http/failure.ts";
import type { ErrorAnswer, HttpRequest, HttpResponse } from "../http/http-message.ts";
import { MULTIPART_HEADER_MAX_BYTES, RANGE_REQUESTS_AT_A_TIME } from "../limits.ts";
import { mergeStreams } from "./merge-streams.ts";
import { boundAnswer, type RangePiece, readParts, WantedRanges } from "./range-response.ts";

export type { RangePiece } from "./range-response.ts";

export interface RangeReader {
  /** The last bytes of a file (all of a shorter one) and its size; undefined when the server knows no ranges. */
  readTail(
    sizeBytes: number,
    options?: { signal?: AbortSignal },
  ): Promise<{ bytes: Buffer; totalBytes: number } | undefined>;
  /**
   * The bytes of all ranges (sorted, not overlapping, `end` exclusive), those of one range in order.
   * Throws FETCH_NO_RANGES when the server knows none, and what the client throws.
   */
  readRanges(ranges: readonly ByteRange[], options?: { signal?: AbortSignal }): AsyncIterable<RangePiece>;
}

/** Asks for the file with these fields beside the caller's own; `explainRefusal` goes before what the caller knows. */
export type SendRangeRequest = (
  fields: Pick<HttpRequest, "range" | "ranges" | "signal" | "maxBytes">,
  explainRefusal: (answer: ErrorAnswer) => Partial<Failure> | undefined,
) => Promise<HttpResponse>;

/** What was found out about a server, so that it is asked in vain once only. */
export interface RangeHabits {
  maxRanges: number;
}

export function createRangeHabits(): RangeHabits {
  return { maxRanges: Number.POSITIVE_INFINITY };
}

export interface RangeReaderOptions {
  habits?: RangeHabits;
  requestsAtATime?: number;
}

/** Ranges of one request; `asOne` by the single range that holds them all. */
interface Group {
  ranges: readonly ByteRange[];
  asOne: boolean;
}

export function createRangeReader(send: SendRangeRequest, options: RangeReaderOptions = {}): RangeReader {
  const { habits = createRangeHabits(), requestsAtATime = RANGE_REQUESTS_AT_A_TIME } = options;

  const plan = (ranges: readonly ByteRange[]): Group[] =>
    habits.maxRanges > 1
      ? groupRanges(ranges, habits).map((request) => ({
          ranges: request.ranges,
          asOne: request.ranges.length === 1,
        }))
      : groupNear(ranges, RANGE_REQUEST_COST_BYTES).map((near) => ({ ranges: near, asOne: true }));

  /** Yields what came of a group, and puts what did not come back to the others. */
  async function* readGroup({ ranges, asOne }: Group, waiting: Group[], signal: AbortSignal) {
    if (asOne) {
      yield* readAsOne(ranges, signal);
      return;
    }
    const wanted = new WantedRanges(ranges);
    let limit = habits.maxRanges;
    // Others may have learned meanwhile that it will not work.
    if (ranges.length <= limit) {
      try {
        yield* readParted(ranges, wanted, signal);
        // What an answer leaves out, the same request would leave out again.
        if (wanted.missing.length === ranges.length) limit = halve(ranges.length);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof AgentError) || !MENDABLE.has(error.code)) throw error;
        limit = FOR_SINGLES.has(error.code) ? 1 : halve(ranges.length);
      }
    }
    habits.maxRanges = Math.min(habits.maxRanges, limit);
    waiting.push(...plan(wanted.missing));
  }

  async function* readParted(ranges: readonly ByteRange[], wanted: WantedRanges, signal: AbortSignal) {
    const inclusive = ranges.map(({ start, end }) => ({ start, end: end - 1 }));
    const maxBytes = boundAnswer(ranges, MULTIPART_HEADER_MAX_BYTES);
    const response = await send({ ranges: inclusive, maxBytes, signal }, explainRefusal);
    const parts = readParts(response);
    if (!parts) {
      response.discard();
      throw noRanges("many ranges of it");
    }
    for await (const piece of parts) yield* wanted.accept(piece);
  }

  /** Here the client itself sees to it that all of the range comes. */
  async function* readAsOne(ranges: readonly ByteRange[], signal: AbortSignal) {
    const start = ranges[0]!.start;
    const response = await send({ range: { start, end: ranges.at(-1)!.end - 1 }, signal }, explainRefusal);
    if (response.status !== 206) {
      response.discard();
      throw noRanges("a range of it");
    }
    const wanted = new WantedRanges(ranges);
    let offset = start;
    for await (const bytes of response.body) {
      yield* wanted.accept({ offset, bytes });
      offset += bytes.length;
    }
    if (wanted.missing.length > 0) throw noRanges("a range of it, or less than that");
  }

  return {
    async readTail(sizeBytes, { signal } = {}) {
      const response = await send({ ranges: [{ start: -sizeBytes }], signal }, explainRefusal).catch(
        (error: unknown) => {
          if (error instanceof AgentError && MENDABLE.has(error.code)) return undefined;
          throw error;
        },
      );
      const range = response?.status === 206 && parseContentRange(response.headers["content-range"]);
      if (!response || !range || range.lastByte - range.firstByte >= sizeBytes) {
        response?.discard();
        return undefined;
      }
      const chunks: Buffer[] = [];
      for await (const chunk of response.body) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      const { firstByte, totalBytes } = range;
      return totalBytes === undefined || firstByte + bytes.length !== totalBytes
        ? undefined
        : { bytes, totalBytes };
    },

    readRanges(ranges, { signal } = {}) {
      const waiting = plan(mergeRanges(ranges, 0));
      return mergeStreams(
        (stop) => {
          const group = waiting.shift();
          return group && readGroup(group, waiting, stop);
        },
        { atATime: requestsAtATime, signal },
      );
    },
  };
}

/** Errors that other, smaller requests may avoid. */
const MENDABLE: ReadonlySet<ErrorCode> = new Set([
  "FETCH_NO_RANGES",
  "FETCH_TOO_MANY_RANGES",
  "FETCH_WRONG_RANGE",
  "FETCH_TOO_LARGE",
  "FETCH_INTERRUPTED",
  "FETCH_STALLED",
  "FETCH_TOO_SLOW",
  "MULTIPART_INVALID",
]);
const FOR_SINGLES: ReadonlySet<ErrorCode> = new Set([
  "FETCH_NO_RANGES",
  "FETCH_WRONG_RANGE",
  "MULTIPART_INVALID",
]);

/** 400 and its kind are about a header's length; 416 and 501 are what some servers say to more than one range. */
function explainRefusal({ status }: ErrorAnswer): Partial<Failure> | undefined {
  const cameBack = `status ${status}`;
  if ([400, 413, 414, 431].includes(status))
    return { code: "FETCH_TOO_MANY_RANGES", cameBack, isTransient: false };
  if (status === 416 || status === 501) return { code: "FETCH_NO_RANGES", cameBack, isTransient: false };
  return undefined;
}

function noRanges(wanted: string): AgentError {
  return new AgentError(
    "FETCH_NO_RANGES",
    `Cannot fetch the file in parts: the server sends all of it for ${wanted}`,
  );
}

const halve = (count: number): number => Math.ceil(count / 2);

/** Neighbours less than `gapBytes` apart, together. */
function groupNear(ranges: readonly ByteRange[], gapBytes: number): ByteRange[][] {
  const groups: ByteRange[][] = [];
  for (const range of ranges) {
    const last = groups.at(-1);
    if (last !== undefined && range.start - last.at(-1)!.end <= gapBytes) last.push(range);
    else groups.push([range]);
  }
  return groups;
}
