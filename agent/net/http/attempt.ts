/**
 * One attempt: request, redirects, a renewed authorization, up to the response's headers.
 * Credentials go to the first origin only; a redirect that leaves it gets the harmless headers and nothing else.
 */
import { open } from "node:fs/promises";
import { Readable } from "node:stream";
import type { Dispatcher } from "undici";
import { AgentError } from "../../errors.ts";
import { UPLOAD_CHUNK_BYTES } from "../../limits.ts";
import { ERROR_BODY_MAX_BYTES, MAX_REDIRECTS, RESPONSE_BUFFER_BYTES } from "../limits.ts";
import { AttemptError } from "./failure.ts";
import type { Authorize, Headers, RequestBody } from "./http-message.ts";
import type { StallDetector } from "./stall-detector.ts";
import type { UrlPolicy } from "./url-policy.ts";
import { planRedirect } from "./url-policy.ts";

export interface ExchangeRequest {
  method: string;
  url: URL;
  headers: Headers;
  authorize?: Authorize;
  body?: RequestBody;
  allowsPlainHttp: boolean;
  signal: AbortSignal;
  pace: StallDetector;
}

export interface RawResponse {
  status: number;
  headers: Headers;
  /** Where redirects led to. */
  url: URL;
  body: Dispatcher.ResponseData["body"];
}

/** Headers that another origin may see. Everything else may be a secret: tokens have many names. */
const PORTABLE_HEADERS = new Set(["accept", "accept-encoding", "if-range", "range", "user-agent"]);
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

export async function exchange(
  dispatcher: Dispatcher,
  rules: UrlPolicy,
  request: ExchangeRequest,
): Promise<RawResponse> {
  const visited = new Set<string>();
  let url = request.url;
  let isHome = true;
  let proof = await request.authorize?.({ method: request.method, url });
  let wasChallenged = false;
  for (;;) {
    visited.add(url.href);
    const response = await send(dispatcher, request, url, isHome ? proof : undefined, isHome);
    const location = response.headers.location;
    if (REDIRECTS.has(response.status) && location && request.body === undefined) {
      await drain(response, request);
      if (visited.size > MAX_REDIRECTS) {
        throw new AttemptError({
          code: "FETCH_REDIRECT_REFUSED",
          cameBack: `more than ${MAX_REDIRECTS} redirects`,
          isTransient: false,
        });
      }
      const next = planRedirect(
        { from: url, location, visited, allowsPlainHttp: request.allowsPlainHttp },
        rules,
      );
      if (!(next instanceof URL)) throw new AttemptError(next);
      isHome &&= next.origin === url.origin;
      url = next;
    } else if (response.status === 401 && isHome && request.authorize && !wasChallenged) {
      wasChallenged = true;
      const renewed = await request.authorize({
        method: request.method,
        url,
        challenge: { status: response.status, headers: response.headers },
      });
      if (!renewed) return response;
      await drain(response, request);
      proof = renewed;
    } else {
      return response;
    }
  }
}

/** Reads a body that nobody wants, so that its connection can be used again. */
async function drain({ body }: RawResponse, { pace, signal }: ExchangeRequest): Promise<void> {
  pace.startWaiting();
  await body.dump({ limit: ERROR_BODY_MAX_BYTES, signal });
  pace.stopWaiting();
}

async function send(
  dispatcher: Dispatcher,
  request: ExchangeRequest,
  url: URL,
  proof: Headers | undefined,
  isHome: boolean,
): Promise<RawResponse> {
  const own = Object.entries(request.headers).filter(
    ([name]) => isHome || PORTABLE_HEADERS.has(name.toLowerCase()),
  );
  request.pace.startWaiting();
  try {
    const { statusCode, headers, body } = await dispatcher.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: request.method as Dispatcher.HttpMethod,
      headers: {
        ...Object.fromEntries(own),
        ...proof,
        ...measureBody(request.body),
      },
      body: request.body ? Readable.from(sendBody(request.body, request.pace), { objectMode: false }) : null,
      signal: request.signal,
      highWaterMark: RESPONSE_BUFFER_BYTES,
    });
    // An error of a body that nobody reads any more must not end the process.
    body.on("error", () => {});
    return { status: statusCode, headers: flattenHeaders(headers), url, body };
  } finally {
    request.pace.stopWaiting();
  }
}

/** In pieces, so that the pace watch sees a slow upload move. */
function* cutToPieces(body: Buffer, pace: StallDetector): Generator<Buffer> {
  for (let at = 0; at < body.length; at += UPLOAD_CHUNK_BYTES) {
    const piece = body.subarray(at, at + UPLOAD_CHUNK_BYTES);
    yield piece;
    pace.noteBytes(piece.length);
  }
}

/** Read anew for each attempt. */
async function* sendFile(
  { path, sizeBytes }: { path: string; sizeBytes: number },
  pace: StallDetector,
): AsyncGenerator<Buffer> {
  const file = await open(path, "r");
  try {
    for (let at = 0; at < sizeBytes; ) {
      const wanted = Math.min(UPLOAD_CHUNK_BYTES, sizeBytes - at);
      // A buffer of its own: the one before may still be on its way.
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted, at);
      if (bytesRead === 0) {
        throw new AgentError(
          "UPLOAD_FILE_CHANGED",
          `Cannot upload "${path}": it is only ${at} bytes long by now`,
        );
      }
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
      pace.noteBytes(bytesRead);
    }
  } finally {
    await file.close();
  }
}

async function* sendStream(stream: AsyncIterable<Buffer>, pace: StallDetector): AsyncGenerator<Buffer> {
  for await (const chunk of stream) {
    yield chunk;
    pace.noteBytes(chunk.length);
  }
}

function sendBody(body: RequestBody, pace: StallDetector) {
  if (Buffer.isBuffer(body)) return cutToPieces(body, pace);
  return "stream" in body ? sendStream(body.stream, pace) : sendFile(body, pace);
}

/** The header that says it; none has the body sent in HTTP's chunks. */
function measureBody(body: RequestBody | undefined): Headers {
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
