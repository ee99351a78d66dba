/**
 * Reads ranges of a file: several in one request where the server supports it, and several requests at a time.
 * Whatever the server returns, the reader gets each requested byte once, or an error (RFC 9110, section 14).
 */
import {
  type ByteRange,
  locatePieces,
  mergeRanges,
  type RangePiece,
  type RangeReader,
} from "../../archive/byte-range.ts";
import { RANGE_REQUEST_COST_BYTES } from "../../archive/limits.ts";
import { groupRanges } from "../../archive/zstd-chunked/plan-ranges.ts";
import { AgentError, type ErrorCode } from "../../errors.ts";
import type { Failure } from "../http/failure.ts";
import { type ErrorResponse, type HttpRequest, type HttpResponse, readAll } from "../http/http-message.ts";
import { parseContentRange } from "../http/range-headers.ts";
import { MULTIPART_HEADER_MAX_BYTES, RANGE_REQUESTS_AT_A_TIME } from "../limits.ts";
import { parseMultipartBoundary, readMultipartRanges } from "./multipart-byteranges.ts";

/** Requests the file with these fields and the caller's own; `explainRefusal` precedes the caller's explanation. */
export type SendRangeRequest = (
  fields: Pick<HttpRequest, "range" | "ranges" | "suffixBytes" | "signal" | "maxBytes">,
  explainRefusal: (response: ErrorResponse) => Partial<Failure> | undefined,
) => Promise<HttpResponse>;

/** What is known about a server's support for ranges. Share one between the files of a server. */
export interface RangeSupport {
  /** How many ranges the server accepts in one request. */
  maxRanges: number;
}

/** The ranges of one request. With `asOne` the request is for the single range that covers all of them. */
interface Group {
  ranges: readonly ByteRange[];
  asOne: boolean;
}

export function createRangeReader(
  send: SendRangeRequest,
  support: RangeSupport = { maxRanges: Number.POSITIVE_INFINITY },
): RangeReader {
  const plan = (ranges: readonly ByteRange[]): Group[] =>
    support.maxRanges > 1
      ? groupRanges(ranges, support).map((group) => ({ ...group, asOne: group.ranges.length === 1 }))
      : groupNear(ranges, RANGE_REQUEST_COST_BYTES).map((near) => ({ ranges: near, asOne: true }));

  /** Yields what the server returns of a group, and adds what is missing to `queue`. */
  async function* readGroup({ ranges, asOne }: Group, queue: Group[], signal: AbortSignal) {
    if (asOne) {
      yield* readAsOne(ranges, signal);
      return;
    }
    const wanted = new WantedRanges(ranges);
    let limit = support.maxRanges;
    // Another request may have lowered the limit in the meantime.
    if (ranges.length <= limit) {
      try {
        yield* readMultipart(ranges, wanted, signal);
        // The same request would leave out the same ranges again.
        if (wanted.missing.length === ranges.length) limit = halve(ranges.length);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof AgentError) || !RETRIED_IN_SMALLER.has(error.code)) throw error;
        limit = RETRIED_ONE_BY_ONE.has(error.code) ? 1 : halve(ranges.length);
      }
    }
    support.maxRanges = Math.min(support.maxRanges, limit);
    queue.push(...plan(wanted.missing));
  }

  async function* readMultipart(ranges: readonly ByteRange[], wanted: WantedRanges, signal: AbortSignal) {
    // A valid response has the requested bytes, those between them, and the headers of the parts.
    const maxBytes = ranges.at(-1)!.end - ranges[0]!.start + (ranges.length + 1) * MULTIPART_HEADER_MAX_BYTES;
    const response = await send({ ranges, maxBytes, signal }, explainRefusal);
    const parts = readParts(response);
    if (!parts) {
      response.discard();
      throw createNoRangesError("several ranges");
    }
    for await (const piece of parts) yield* wanted.accept(piece);
  }

  /** Here the HTTP client itself ensures that the whole range arrives. */
  async function* readAsOne(ranges: readonly ByteRange[], signal: AbortSignal) {
    const range = { start: ranges[0]!.start, end: ranges.at(-1)!.end };
    const response = await send({ range, signal }, explainRefusal);
    if (response.status !== 206) {
      response.discard();
      throw createNoRangesError("one range");
    }
    const wanted = new WantedRanges(ranges);
    for await (const piece of locatePieces(response.body, range.start)) yield* wanted.accept(piece);
    if (wanted.missing.length > 0) throw createNoRangesError("one range, or less than the range");
  }

  return {
    async readTail(sizeBytes, { signal } = {}) {
      const response = await send({ suffixBytes: sizeBytes, signal }, explainRefusal).catch(
        (error: unknown) => {
          if (error instanceof AgentError && RETRIED_IN_SMALLER.has(error.code)) return undefined;
          throw error;
        },
      );
      const range = response?.status === 206 && parseContentRange(response.headers["content-range"]);
      if (!response || !range || range.end - range.start > sizeBytes) {
        response?.discard();
        return undefined;
      }
      const bytes = await readAll(response.body);
      const { start, totalBytes } = range;
      return totalBytes === undefined || start + bytes.length !== totalBytes
        ? undefined
        : { bytes, totalBytes };
    },

    readRanges(ranges, { signal } = {}) {
      const queue = plan(mergeRanges(ranges, 0));
      return mergeStreams(
        (stop) => {
          const group = queue.shift();
          return group && readGroup(group, queue, stop);
        },
        { atATime: RANGE_REQUESTS_AT_A_TIME, signal },
      );
    },
  };
}

/**
 * The pieces of a 206, whatever they cover; undefined for a response without ranges. Only its Content-Range identifies a part
 * (RFC 9110, section 15.3.7).
 */
function readParts(response: HttpResponse): AsyncIterable<RangePiece> | undefined {
  if (response.status !== 206) return undefined;
  const boundary = parseMultipartBoundary(response.headers["content-type"] ?? "");
  if (boundary !== undefined) return readMultipartRanges(response.body, boundary);
  const range = parseContentRange(response.headers["content-range"]);
  return range && locatePieces(response.body, range.start);
}

/** Tracks which bytes are still missing; lets each byte of each range pass once, in order. */
class WantedRanges {
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

/** Errors that smaller requests may avoid. */
const RETRIED_IN_SMALLER: ReadonlySet<ErrorCode> = new Set([
  "FETCH_NO_RANGES",
  "FETCH_TOO_MANY_RANGES",
  "FETCH_WRONG_RANGE",
  "FETCH_TOO_LARGE",
  "FETCH_INTERRUPTED",
  "FETCH_STALLED",
  "FETCH_TOO_SLOW",
  "MULTIPART_INVALID",
]);
const RETRIED_ONE_BY_ONE: ReadonlySet<ErrorCode> = new Set([
  "FETCH_NO_RANGES",
  "FETCH_WRONG_RANGE",
  "MULTIPART_INVALID",
]);

/** 400 and similar statuses are about the length of the header; some servers send 416 and 501 for more than one range. */
function explainRefusal({ status }: ErrorResponse): Partial<Failure> | undefined {
  const refusal = { reason: `status ${status}`, isTransient: false };
  if ([400, 413, 414, 431].includes(status)) return { ...refusal, code: "FETCH_TOO_MANY_RANGES" };
  if (status === 416 || status === 501) return { ...refusal, code: "FETCH_NO_RANGES" };
  return undefined;
}

function createNoRangesError(requested: string): AgentError {
  return new AgentError(
    "FETCH_NO_RANGES",
    `Cannot fetch parts of the file: the server returned the whole file for a request for ${requested}`,
  );
}

const halve = (count: number): number => Math.ceil(count / 2);

/** Groups neighbours that are at most `gapBytes` apart. */
function groupNear(ranges: readonly ByteRange[], gapBytes: number): ByteRange[][] {
  const groups: ByteRange[][] = [];
  for (const range of ranges) {
    const last = groups.at(-1);
    if (last !== undefined && range.start - last.at(-1)!.end <= gapBytes) last.push(range);
    else groups.push([range]);
  }
  return groups;
}

interface Turn<Piece> {
  stream: AsyncIterator<Piece>;
  result: IteratorResult<Piece>;
}

/**
 * `openNext` opens another stream, or returns undefined when none is waiting; it is called again whenever a stream has ended.
 * The first failure aborts the other streams and is thrown, as is the signal's reason.
 */
async function* mergeStreams<Piece>(
  openNext: (signal: AbortSignal) => AsyncIterable<Piece> | undefined,
  { atATime, signal }: { atATime: number; signal?: AbortSignal },
): AsyncGenerator<Piece> {
  const stop = new AbortController();
  const anySignal = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
  const open = new Map<AsyncIterator<Piece>, Promise<Turn<Piece>>>();
  const advance = (stream: AsyncIterator<Piece>) => {
    const turn = stream.next().then((result) => ({ stream, result }));
    // After the first failure the others fail too, unobserved.
    turn.catch(() => {});
    open.set(stream, turn);
  };
  try {
    for (;;) {
      while (open.size < atATime) {
        const next = openNext(anySignal);
        if (!next) break;
        advance(next[Symbol.asyncIterator]());
      }
      if (open.size === 0) return;
      const { stream, result } = await Promise.race(open.values());
      open.delete(stream);
      if (result.done) continue;
      // Adds the stream at the end of the map, so that the others have their turn.
      advance(stream);
      yield result.value;
    }
  } finally {
    stop.abort();
    for (const stream of open.keys()) void stream.return?.()?.catch(() => {});
  }
}
