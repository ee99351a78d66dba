/**
 * Requests to the HTTP client and its responses: the types that its users and its parts share.
 */
import type { ByteRange } from "../../archive/byte-range.ts";
import type { ErrorCode } from "../../errors.ts";
import type { RetryLimits } from "../limits.ts";
import type { Failure } from "./failure.ts";
import type { UploadedFile } from "./uploaded-file.ts";

export type Headers = Readonly<Record<string, string>>;

/** A response with an error status, with its body up to ERROR_BODY_MAX_BYTES. */
export interface ErrorResponse {
  status: number;
  headers: Headers;
  body: Buffer;
}

/**
 * Returns the headers that authorize a request. It is called for every attempt: tokens expire, and signatures carry the time.
 * After a 401 it is called again with `challenge`; undefined then means that there are no other credentials.
 */
export type Authorize = (request: {
  method: string;
  url: URL;
  challenge?: { status: number; headers: Headers };
}) => Promise<Headers | undefined>;

/** A stream is sent chunk by chunk and can be read once: its request must not be repeated. */
export type RequestBody = Buffer | UploadedFile | { stream: AsyncIterable<Buffer> };

export interface HttpRequest {
  method?: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  headers?: Headers;
  authorize?: Authorize;
  /** `authorize` signs the URL and reveals no secret, so a redirected upload is signed anew, for another origin too. */
  signsUrls?: boolean;
  body?: RequestBody;
  range?: ByteRange;
  /**
   * Several ranges in one request. The response is returned as it is (200, 206, multipart/byteranges). The request is
   * repeated up to the first byte of the body; after an interruption the reader asks for what is missing.
   */
  ranges?: readonly ByteRange[];
  /** The last so many bytes of the file; otherwise as `ranges`. */
  suffixBytes?: number;
  signal?: AbortSignal;
  /** The reader checks a digest of the whole body, so an interrupted download may continue without a validator. */
  hasDigest?: boolean;
  /** The reader checks the whole body against a digest of the job before it uses any of it, so plain HTTP is safe. */
  allowsPlainHttp?: boolean;
  /** A larger body is FETCH_TOO_LARGE, or `overrunCode` where the size was promised. */
  maxBytes?: number;
  overrunCode?: ErrorCode;
  /** Whether the request may be repeated; default: all methods but POST. */
  isIdempotent?: boolean;
  /** Accepts an HTML page as the file that was requested. */
  acceptsHtml?: boolean;
  retry?: Partial<RetryLimits>;
  /** What follows "Cannot" in messages; default: `fetch "URL"`. */
  subject?: string;
  /** Explains an error response better than its status does; merged over the general meaning. */
  explainError?: (response: ErrorResponse) => Partial<Failure> | undefined;
}

export interface HttpResponse {
  /** 200 instead of 206 means that the server knows no ranges; the body is cut to the range all the same. */
  status: number;
  /** Names in lower case; all values of a repeated header, joined by a comma. */
  headers: Headers;
  /** Size of the body, as far as known. */
  sizeBytes?: number;
  /** Size of the whole file, where a range was requested and the server sent it. */
  totalBytes?: number;
  /** Can be read once. Continues over lost connections; throws AgentError when it cannot. */
  body: AsyncIterable<Buffer>;
  /** Gives up a body that will not be read. */
  discard(): void;
}

export interface HttpClient {
  fetch(url: string, request?: HttpRequest): Promise<HttpResponse>;
  /**
   * `https://HOST`, or `http://HOST` where the job allows plain HTTP and HTTPS does not respond; `host` is `host[:port]`.
   * For protocols whose names have no scheme. Throws the error of HTTPS.
   */
  findOrigin(host: string, options?: { signal?: AbortSignal }): Promise<string>;
  /** Aborts the requests that are still open. */
  close(): Promise<void>;
}

/** Fetches a small response completely: manifests, tokens, listings. */
export async function fetchBytes(
  http: HttpClient,
  url: string,
  request: HttpRequest & { maxBytes: number },
): Promise<{ headers: Headers; bytes: Buffer }> {
  const { headers, body } = await http.fetch(url, request);
  return { headers, bytes: await readAll(body) };
}

export async function readAll(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}
