/**
 * One request from its first attempt to the last byte of its body: attempts, recoveries, and what to say when all is tried.
 */

import type { Dispatcher } from "undici";
import { AgentError } from "../../errors.ts";
import { formatSeconds } from "../../text.ts";
import { ERROR_BODY_MAX_BYTES, type RetryLimits } from "../limits.ts";
import { exchange, type RawResponse } from "./attempt.ts";
import { createBodyReader, describeTooLarge } from "./body-reader.ts";
import {
  AttemptError,
  describeStatus,
  describeTransportError,
  type Failure,
  toFetchError,
} from "./failure.ts";
import type { Headers, HttpRequest, HttpResponse } from "./http-message.ts";
import { formatPublicUrl } from "./public-url.ts";
import {
  createDownload,
  formatRangeHeaders,
  formatRanges,
  judgeResponse,
  nextByte,
  type Slice,
  wantedBytes,
} from "./resume.ts";
import { createRetryClock, waitMs } from "./retry-policy.ts";
import { createStallDetector, type StallDetector } from "./stall-detector.ts";
import type { UrlPolicy } from "./url-policy.ts";

/** What all requests of a client share. */
export interface TransferContext {
  dispatcher: Dispatcher;
  rules: UrlPolicy;
  limits: RetryLimits;
  log: { warn(message: string): void };
  userAgent: string;
  /** Hosts that are known to be there: they are waited for longer. */
  answeredOrigins: Set<string>;
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
  pace: StallDetector;
  /** What made us break it off ourselves. */
  ownFailure(): Failure | undefined;
  abandon(): void;
}

export async function startTransfer(
  context: TransferContext,
  urlText: string,
  request: HttpRequest,
): Promise<HttpResponse> {
  const { rules, answeredOrigins } = context;
  const limits: RetryLimits = { ...context.limits, ...request.retry };
  const method = request.method ?? "GET";
  const { signal } = request;
  const subject = request.subject ?? `${VERB[method]} "${formatPublicUrl(urlText)}"`;
  const url = URL.parse(urlText);
  const fault: Failure | undefined = url
    ? rules.findFault(url, request)
    : { code: "FETCH_BAD_URL", cameBack: "this is no URL", isTransient: false };
  if (!url || fault) throw toFetchError(subject, fault!, {});

  const download = createDownload({
    range: request.range,
    hasDigest: request.hasDigest ?? false,
    isResumable: method === "GET" && !request.ranges,
  });
  const reader = createBodyReader(download, request);
  const clock = createRetryClock(limits);

  const describe = (failure: Failure): AgentError =>
    toFetchError(subject, failure, {
      url: formatPublicUrl(url),
      attempts: Math.max(1, clock.failures),
      offsetBytes: nextByte(download),
    });

  /** Waits for the next attempt, or throws what it failed with. */
  async function recover(failure: Failure): Promise<void> {
    signal?.throwIfAborted();
    const isRepeatable = request.isIdempotent ?? (method !== "POST" || failure.code === "FETCH_UNREACHABLE");
    const isKnownHost = answeredOrigins.has(url!.origin);
    const delayMs =
      failure.isTransient && isRepeatable ? clock.planNext({ ...failure, isKnownHost }) : undefined;
    if (delayMs === undefined) {
      if (clock.failures < 2) throw describe(failure);
      const tried = `attempt ${clock.failures}, ${formatSeconds(clock.elapsedMs)} without progress`;
      throw describe({ ...failure, cameBack: `${failure.cameBack}${formatPosition()} (${tried})` });
    }
    context.log.warn(
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
    const pace = createStallDetector(limits, (failure) => {
      ownFailure = failure;
      stop.abort();
    });
    const abandon = (): void => {
      pace.end();
      stop.abort();
    };
    try {
      const headers: Headers = {
        "user-agent": context.userAgent,
        // Bodies are wanted as they are stored: digests and ranges count those bytes.
        "accept-encoding": "identity",
        ...request.headers,
        ...(request.ranges ? { range: formatRanges(request.ranges) } : formatRangeHeaders(download)),
      };
      const response = await exchange(context.dispatcher, rules, {
        method,
        url: url!,
        headers,
        pace,
        allowsPlainHttp: request.allowsPlainHttp ?? false,
        signal: signal ? AbortSignal.any([signal, stop.signal]) : stop.signal,
        authorize: request.authorize,
        body: request.body,
      });
      answeredOrigins.add(url!.origin);
      const isSuccess = response.status >= 200 && response.status < 300;
      if (!isSuccess) throw new AttemptError(await readFailure(response, request, pace));
      const slice = download.isResumable
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
          const { response, slice, pace } = current;
          yield* reader.read({ ...response, slice, pace }, clock.noteProgress);
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

  const opened = await openAttempt();
  const size = download.isResumable ? wantedBytes(download) : undefined;
  const body = readBody(opened);
  return {
    status: opened.response.status,
    headers: opened.response.headers,
    sizeBytes: size,
    totalBytes: download.totalBytes,
    body,
    discard: opened.abandon,
  };
}

async function readFailure(
  response: RawResponse,
  request: HttpRequest,
  pace: StallDetector,
): Promise<Failure> {
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
