/**
 * The one way to the network: HTTP(S) with one retry policy, resumed downloads, and limits on silence and trickling.
 *
 * undici's own retry handler was tried and left: it ends a download when a resumed answer is 200 or has another ETag,
 * resumes unchecked without an ETag, and knows neither a budget in time nor a trickle. Its redirect handler follows from
 * HTTPS down to HTTP. Below both, undici's Agent does the work.
 */
import { createHash } from "node:crypto";
import { AgentError } from "../errors.ts";
import { ERROR_BODY_MAX_BYTES, RETRY_LIMITS, type RetryLimits } from "../limits.ts";
import { createDispatcher } from "./dispatcher.ts";
import { exchange, type RawResponse } from "./exchange.ts";
import {
  AttemptError,
  describeStatus,
  describeTransportError,
  type Failure,
  toFetchError,
} from "./failure.ts";
import { createHostRules } from "./host-rules.ts";
import type { Headers, HttpClient, HttpRequest, HttpResponse } from "./http-message.ts";
import { createOriginFinder } from "./origin-finder.ts";
import { createPaceWatch, type PaceWatch } from "./pace-watch.ts";
import { formatPublicUrl } from "./public-url.ts";
import {
  createDownload,
  formatRangeHeaders,
  formatRanges,
  judgeResponse,
  missingBytes,
  nextByte,
  type Slice,
  wantedBytes,
} from "./resume.ts";
import { createRetryClock, waitMs } from "./retry-policy.ts";

export type { HttpClient, HttpRequest, HttpResponse } from "./http-message.ts";

export interface HttpClientOptions {
  /** `host` or `host:port`: plain HTTP and unknown certificates are allowed there. */
  insecureHosts: readonly string[];
  /** PEM, trusted beside the usual authorities. */
  extraCa?: string;
  /** Told of every retry, so that a person sees why nothing moves. */
  log: { warn(message: string): void };
  retry?: Partial<RetryLimits>;
  userAgent?: string;
}

const VERB: Readonly<Record<string, string>> = {
  GET: "fetch",
  HEAD: "look at",
  PUT: "upload to",
  POST: "post to",
  DELETE: "delete",
};

/** One attempt that got as far as a response. */
interface OpenAttempt {
  response: RawResponse;
  slice: Slice;
  pace: PaceWatch;
  /** What made us break it off ourselves. */
  ownFailure(): Failure | undefined;
  abandon(): void;
}

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const clientLimits: RetryLimits = { ...RETRY_LIMITS, ...options.retry };
  const rules = createHostRules(options.insecureHosts);
  const dispatcher = createDispatcher(rules, {
    connectTimeoutMs: clientLimits.connectTimeoutMs,
    ...(options.extraCa !== undefined && { extraCa: options.extraCa }),
  });
  const answeredOrigins = new Set<string>();

  async function fetch(urlText: string, request: HttpRequest = {}): Promise<HttpResponse> {
    const limits: RetryLimits = { ...clientLimits, ...request.retry };
    const method = request.method ?? "GET";
    const { signal } = request;
    const subject = request.subject ?? `${VERB[method]} "${formatPublicUrl(urlText)}"`;
    const url = URL.parse(urlText);
    const fault: Failure | undefined = url
      ? rules.findFault(url)
      : { code: "FETCH_BAD_URL", cameBack: "this is no URL", isTransient: false };
    if (!url || fault) throw toFetchError(subject, fault!, {});

    const download = createDownload(request.range, request.hasDigest ?? false);
    const isResumable = method === "GET" && !request.ranges;
    const clock = createRetryClock(limits);
    // Of what the reader has had, to compare with when only a restart is possible. A digest makes it superfluous.
    const deliveredHash = request.hasDigest ? undefined : createHash("sha256");

    const describe = (failure: Failure): AgentError =>
      toFetchError(subject, failure, {
        url: formatPublicUrl(url),
        attempts: Math.max(1, clock.failures),
        offsetBytes: nextByte(download),
      });

    /** Waits for the next attempt, or throws what it failed with. */
    async function recover(failure: Failure): Promise<void> {
      signal?.throwIfAborted();
      const isRepeatable =
        request.isIdempotent ?? (method !== "POST" || failure.code === "FETCH_UNREACHABLE");
      const isKnownHost = answeredOrigins.has(url!.origin);
      const delayMs =
        failure.isTransient && isRepeatable ? clock.planNext({ ...failure, isKnownHost }) : undefined;
      if (delayMs === undefined) {
        if (clock.failures < 2) throw describe(failure);
        const tried = `attempt ${clock.failures}, ${formatSeconds(clock.elapsedMs)} without progress`;
        throw describe({ ...failure, cameBack: `${failure.cameBack}${formatPosition()} (${tried})` });
      }
      options.log.warn(
        `Cannot ${subject} yet: ${failure.cameBack}${formatPosition()}; attempt ${clock.failures + 1} in ${formatSeconds(delayMs)}`,
      );
      await waitMs(delayMs, signal);
    }

    function formatPosition(): string {
      if (download.deliveredBytes === 0) return "";
      const total = wantedBytes(download);
      return ` at byte ${download.deliveredBytes}${total === undefined ? "" : ` of ${total}`}`;
    }

    async function attempt(): Promise<OpenAttempt> {
      const stop = new AbortController();
      let ownFailure: Failure | undefined;
      const pace = createPaceWatch(limits, (failure) => {
        ownFailure = failure;
        stop.abort();
      });
      const abandon = (): void => {
        pace.end();
        stop.abort();
      };
      try {
        const headers: Headers = {
          "user-agent": options.userAgent ?? "dutboot",
          // Bodies are wanted as they are stored: digests and ranges count those bytes.
          "accept-encoding": "identity",
          ...request.headers,
          ...(request.ranges ? { range: formatRanges(request.ranges) } : formatRangeHeaders(download)),
        };
        const response = await exchange(dispatcher, rules, {
          method,
          url: url!,
          headers,
          pace,
          signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal,
          ...(request.authorize && { authorize: request.authorize }),
          ...(request.body && { body: request.body }),
        });
        answeredOrigins.add(url!.origin);
        const isSuccess = response.status >= 200 && response.status < 300;
        if (!isSuccess) throw new AttemptError(await readFailure(response, request, pace));
        const slice = isResumable
          ? judgeResponse(download, response)
          : { bodyStart: 0, bodyBytes: undefined };
        if ("code" in slice) throw new AttemptError(slice);
        const size = wantedBytes(download);
        if (request.maxBytes !== undefined && size !== undefined && size > request.maxBytes) {
          throw new AttemptError(describeTooLarge(`${size} bytes`, request));
        }
        return { response, slice, pace, ownFailure: () => ownFailure, abandon };
      } catch (error) {
        abandon();
        throw toAttemptError(error, ownFailure);
      }
    }

    async function openAttempt(): Promise<OpenAttempt> {
      for (;;) {
        try {
          return await attempt();
        } catch (error) {
          if (!(error instanceof AttemptError)) throw error;
          // A range beyond the end of a file that grew shorter: the whole tells what became of it.
          if (
            error.failure.code === "FETCH_WRONG_RANGE" &&
            download.deliveredBytes > 0 &&
            !download.isRangeDistrusted
          ) {
            download.isRangeDistrusted = true;
            await recover({ ...error.failure, isTransient: true });
          } else {
            await recover(error.failure);
          }
        }
      }
    }

    /** The caller's reason first, then what was judged already, then our limits, then the transport's. */
    function toAttemptError(error: unknown, ownFailure: Failure | undefined): unknown {
      signal?.throwIfAborted();
      if (error instanceof AttemptError || error instanceof AgentError) return error;
      if (ownFailure) return new AttemptError(ownFailure);
      const failure = describeTransportError(error);
      return failure ? new AttemptError(failure) : error;
    }

    async function* readBody(first: OpenAttempt): AsyncGenerator<Buffer, void, undefined> {
      let current = first;
      try {
        for (;;) {
          try {
            yield* readAttempt(current);
            return;
          } catch (thrown) {
            current.abandon();
            const error = toAttemptError(thrown, current.ownFailure());
            if (!(error instanceof AttemptError)) throw error;
            // Of several ranges only the reader knows which are still missing.
            const isLost = request.ranges !== undefined && download.deliveredBytes > 0;
            await recover(isLost ? { ...error.failure, isTransient: false } : error.failure);
          }
          current = await openAttempt();
        }
      } finally {
        current.abandon();
      }
    }

    /** Hands on what is new in this attempt's body, and checks what is not. */
    async function* readAttempt({
      response,
      slice,
      pace,
    }: OpenAttempt): AsyncGenerator<Buffer, void, undefined> {
      const start = request.range?.start ?? 0;
      const seenHash =
        deliveredHash && slice.bodyStart < nextByte(download) ? createHash("sha256") : undefined;
      let position = slice.bodyStart;
      let isFirst = true;
      const chunks = response.body[Symbol.asyncIterator]();
      const end = request.range?.end ?? Number.POSITIVE_INFINITY;
      while (position <= end) {
        pace.startWaiting();
        const { done, value } = await chunks.next();
        pace.stopWaiting();
        if (done) break;
        let chunk = value as Buffer;
        pace.noteBytes(chunk.length);
        if (isFirst && !request.acceptsHtml) refuseHtmlPage(response.headers, chunk);
        isFirst = false;
        const chunkStart = position;
        position += chunk.length;
        const wanted = nextByte(download);
        if (chunkStart < wanted) {
          seenHash?.update(chunk.subarray(Math.max(0, start - chunkStart), wanted - chunkStart));
          if (position < wanted) continue;
          requireSameBytes(seenHash);
          chunk = chunk.subarray(wanted - chunkStart);
        }
        if (position > end + 1) chunk = chunk.subarray(0, chunk.length - (position - end - 1));
        if (chunk.length === 0) continue;
        download.deliveredBytes += chunk.length;
        if (request.maxBytes !== undefined && download.deliveredBytes > request.maxBytes) {
          throw new AttemptError(describeTooLarge("more", request));
        }
        deliveredHash?.update(chunk);
        clock.noteProgress(chunk.length);
        yield chunk;
      }
      const missing = missingBytes(download, position);
      if (isResumable && missing > 0) {
        throw new AttemptError({
          code: "FETCH_BROKEN_OFF",
          cameBack: `the body ended ${missing} bytes early`,
          isTransient: true,
        });
      }
      download.totalBytes ??= position;
    }

    function requireSameBytes(seenHash: ReturnType<typeof createHash> | undefined): void {
      if (!seenHash || !deliveredHash || download.deliveredBytes === 0) return;
      if (seenHash.copy().digest("hex") === deliveredHash.copy().digest("hex")) return;
      throw new AttemptError({
        code: "FETCH_CHANGED",
        cameBack: "its beginning is another one since the download was broken off",
        isTransient: false,
      });
    }

    const opened = await openAttempt();
    const size = isResumable ? wantedBytes(download) : undefined;
    const body = readBody(opened);
    return {
      status: opened.response.status,
      headers: opened.response.headers,
      ...(size !== undefined && { sizeBytes: size }),
      ...(download.totalBytes !== undefined && { totalBytes: download.totalBytes }),
      body,
      discard: opened.abandon,
    };
  }

  const findOrigin = createOriginFinder({
    fetch,
    isInsecure: rules.isInsecure,
    limits: clientLimits,
    log: options.log,
  });
  return { fetch, findOrigin, close: () => dispatcher.destroy() };
}

async function readFailure(response: RawResponse, request: HttpRequest, pace: PaceWatch): Promise<Failure> {
  const { status, headers } = response;
  const general = describeStatus(status, headers, Date.now());
  if (!request.explainError) return general;
  pace.startWaiting();
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > ERROR_BODY_MAX_BYTES) break;
    }
  } catch {
    // The status counts; an explanation that breaks off is read as far as it came.
  }
  return { ...general, ...request.explainError({ status, headers, body: Buffer.concat(chunks) }) };
}

function refuseHtmlPage(headers: Headers, firstChunk: Buffer): void {
  if (!/^text\/html\b/i.test(headers["content-type"] ?? "")) return;
  if (!/^\s*<(!doctype|html|head|\?xml)/i.test(firstChunk.subarray(0, 256).toString("latin1"))) return;
  throw new AttemptError({
    code: "HTTP_UNEXPECTED_PAGE",
    cameBack: "an HTML page",
    isTransient: false,
  });
}

function describeTooLarge(size: string, { maxBytes, overrunCode }: HttpRequest): Failure {
  return {
    code: overrunCode ?? "FETCH_TOO_LARGE",
    cameBack: `${size}, where at most ${maxBytes} bytes are taken`,
    isTransient: false,
  };
}

function formatSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
