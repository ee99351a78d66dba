/**
 * What the HTTP client is asked and what it answers: the types its users and its parts share.
 */
import type { ErrorCode } from "../../errors.ts";
import type { RetryLimits } from "../limits.ts";
import type { Failure } from "./failure.ts";

/**
 * File offsets, both inclusive as in HTTP; without `end` up to the file's last byte.
 * Among `ranges` a negative start means the last so many bytes.
 */
export interface ByteRange {
  start: number;
  end?: number;
}

export type Headers = Readonly<Record<string, string>>;

/** An answer that is no success, read to its end (or to ERROR_BODY_MAX_BYTES). */
export interface ErrorAnswer {
  status: number;
  headers: Headers;
  body: Buffer;
}

/**
 * Headers that prove who asks, made afresh for every attempt: tokens expire and signatures carry the time.
 * Called again with `challenge` after a 401; undefined then says that there is nothing better to show.
 */
export type Authorize = (request: {
  method: string;
  url: URL;
  challenge?: { status: number; headers: Headers };
}) => Promise<Headers | undefined>;

/**
 * A file is sent as `sizeBytes` long, whatever is appended to it meanwhile. A stream is sent chunk by chunk as it comes and can
 * be read once: its request must not be repeated.
 */
export type RequestBody = Buffer | { path: string; sizeBytes: number } | { stream: AsyncIterable<Buffer> };

export interface HttpRequest {
  method?: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  headers?: Headers;
  authorize?: Authorize;
  body?: RequestBody;
  range?: ByteRange;
  /**
   * Several ranges in one request. The answer comes as it is (200, 206, multipart/byteranges): it is tried again up to
   * its first byte, and what is missing after a break is the reader's to ask for.
   */
  ranges?: readonly ByteRange[];
  signal?: AbortSignal;
  /** The reader checks a digest of all it gets, so a broken download may go on without a validator. */
  hasDigest?: boolean;
  /** The reader checks all of it before any is used, by a digest that the job vouches for: plain HTTP is as good then. */
  allowsPlainHttp?: boolean;
  /** More than this is FETCH_TOO_LARGE, or `overrunCode` where the size was promised. */
  maxBytes?: number;
  overrunCode?: ErrorCode;
  /** Whether a second request does no harm; default: all methods but POST. */
  isIdempotent?: boolean;
  /** Takes an HTML page for what was asked for. */
  acceptsHtml?: boolean;
  retry?: Partial<RetryLimits>;
  /** What stands after "Cannot" in messages; default: `fetch "URL"`. */
  subject?: string;
  /** Knows more about an error answer than its status; merged over the general meaning. */
  explainError?: (answer: ErrorAnswer) => Partial<Failure> | undefined;
}

export interface HttpResponse {
  /** 200 where a range was asked for says that the server knows no ranges: the body is cut to the range all the same. */
  status: number;
  /** Names in lower case; of repeated headers all values, joined by a comma. */
  headers: Headers;
  /** What `body` will yield in all, as far as known. */
  sizeBytes?: number;
  /** Of the whole file, where a range was asked for and the server told. */
  totalBytes?: number;
  /** Can be read once. Goes on over broken connections; throws AgentError when it cannot. */
  body: AsyncIterable<Buffer>;
  /** Gives up a body that nobody will read. */
  discard(): void;
}

export interface HttpClient {
  fetch(url: string, request?: HttpRequest): Promise<HttpResponse>;
  /**
   * `https://HOST`, or `http://HOST` where the job allows that and only that answers; `host` is `host[:port]`.
   * For protocols whose names have no scheme. Throws what HTTPS failed with.
   */
  findOrigin(host: string, options?: { signal?: AbortSignal }): Promise<string>;
  /** Breaks off what is still under way. */
  close(): Promise<void>;
}
