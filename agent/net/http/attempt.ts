/**
 * One attempt: the request, its redirects and a renewed authorization, up to the response's headers.
 * Credentials go to the first origin only. After a redirect to another origin only harmless headers are sent.
 */
import { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { UPLOAD_CHUNK_BYTES } from "../../limits.ts";
import { ERROR_BODY_MAX_BYTES, MAX_REDIRECTS, RESPONSE_BUFFER_BYTES } from "../limits.ts";
import { AttemptError } from "./failure.ts";
import type { Authorize, Headers, RequestBody } from "./http-message.ts";
import type { StallDetector } from "./stall-detector.ts";
import { readUploadedFile } from "./uploaded-file.ts";
import type { UrlPolicy } from "./url-policy.ts";

export interface AttemptOptions {
  method: string;
  url: URL;
  headers: Headers;
  authorize: Authorize | undefined;
  signsUrls: boolean | undefined;
  body: RequestBody | undefined;
  allowsPlainHttp: boolean | undefined;
  signal: AbortSignal;
  stall: StallDetector;
}

export interface RawResponse {
  status: number;
  headers: Headers;
  body: Dispatcher.ResponseData["body"];
}

/** Headers that another origin may see. Every other header may be a secret: tokens have many names. */
const PORTABLE_HEADERS = new Set(["accept", "accept-encoding", "if-range", "range", "user-agent"]);
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** After a 303 a body is not sent again. */
const BODY_REDIRECTS = new Set([301, 302, 307, 308]);

export async function sendRequest(
  dispatcher: Dispatcher,
  policy: UrlPolicy,
  options: AttemptOptions,
): Promise<RawResponse> {
  const { method, authorize, signsUrls, body, allowsPlainHttp } = options;
  // A stream cannot be sent again.
  const redirects = !body ? REDIRECTS : "stream" in body ? new Set<number>() : BODY_REDIRECTS;
  const visited = new Set<string>();
  let { url } = options;
  let isFirstOrigin = true;
  let authorization = await authorize?.({ method, url });
  let wasChallenged = false;
  for (;;) {
    visited.add(url.href);
    const response = await send(dispatcher, url, isFirstOrigin, authorization, options);
    const { status, headers } = response;
    if (redirects.has(status) && headers.location) {
      await drain(response, options);
      if (visited.size > MAX_REDIRECTS) {
        const reason = `more than ${MAX_REDIRECTS} redirects`;
        throw new AttemptError({ code: "FETCH_REDIRECT_REFUSED", reason });
      }
      const next = policy.checkRedirect({ from: url, location: headers.location, visited, allowsPlainHttp });
      if (!(next instanceof URL)) throw new AttemptError(next);
      isFirstOrigin &&= next.origin === url.origin || (signsUrls === true && mayBeSigned(next, options));
      url = next;
      if (isFirstOrigin && signsUrls) authorization = await authorize?.({ method, url });
    } else if (status === 401 && isFirstOrigin && authorize && !wasChallenged) {
      wasChallenged = true;
      authorization = await authorize({ method, url, challenge: { status, headers } });
      if (!authorization) return response;
      await drain(response, options);
    } else {
      return response;
    }
  }
}

/** S3 redirects an upload to another region's host, which needs a signature of its own; a key of the customer is sent to no other host. */
function mayBeSigned({ searchParams }: URL, { method, headers }: AttemptOptions): boolean {
  const isPresigned = [...searchParams.keys()].some((name) => /^(x-amz-)?signature$/i.test(name));
  const hasKey = Object.keys(headers).some((name) => name.toLowerCase().endsWith("customer-key"));
  return method !== "GET" && method !== "HEAD" && !isPresigned && !hasKey;
}

/** Reads a body that is not needed, so that its connection can be used again. */
function drain({ body }: RawResponse, { stall, signal }: AttemptOptions): Promise<void> {
  return stall.watch(body.dump({ limit: ERROR_BODY_MAX_BYTES, signal }));
}

async function send(
  dispatcher: Dispatcher,
  url: URL,
  isFirstOrigin: boolean,
  authorization: Headers | undefined,
  { method, headers, body, signal, stall }: AttemptOptions,
): Promise<RawResponse> {
  const portable = Object.entries(headers).filter(([name]) => PORTABLE_HEADERS.has(name.toLowerCase()));
  const response = await stall.watch(
    dispatcher.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: method as Dispatcher.HttpMethod,
      headers: {
        ...(isFirstOrigin ? { ...headers, ...authorization } : Object.fromEntries(portable)),
        ...formatLength(body),
      },
      body: body ? Readable.from(readBody(body, stall), { objectMode: false }) : null,
      signal,
      highWaterMark: RESPONSE_BUFFER_BYTES,
    }),
  );
  // An error of a body that is no longer read must not end the process.
  response.body.on("error", () => {});
  return { status: response.statusCode, headers: flattenHeaders(response.headers), body: response.body };
}

/** Yields a request's body in chunks, so that the stall detector sees a slow upload move. */
async function* readBody(body: RequestBody, stall: StallDetector): AsyncGenerator<Buffer> {
  const chunks = Buffer.isBuffer(body)
    ? split(body)
    : "stream" in body
      ? body.stream
      : readUploadedFile(body, UPLOAD_CHUNK_BYTES);
  for await (const chunk of chunks) {
    yield chunk;
    stall.noteBytes(chunk.length);
  }
}

function* split(body: Buffer): Generator<Buffer> {
  for (let start = 0; start < body.length; start += UPLOAD_CHUNK_BYTES)
    yield body.subarray(start, start + UPLOAD_CHUNK_BYTES);
}

/** A stream has no Content-Length and is sent with chunked encoding. */
function formatLength(body: RequestBody | undefined): Headers {
  if (!body || "stream" in body) return {};
  return { "content-length": String(Buffer.isBuffer(body) ? body.length : body.sizeBytes) };
}

function flattenHeaders(headers: Record<string, string | string[] | undefined>): Headers {
  const flat: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) flat[name.toLowerCase()] = Array.isArray(value) ? value.join(", ") : value;
  }
  return flat;
}
