/**
 * One request from its first attempt to the last byte of its body: attempts, retries, and the error when all of them failed.
 */
import type { Dispatcher } from "undici";
import { AgentError } from "../../errors.ts";
import { formatSeconds } from "../../text.ts";
import { ERROR_BODY_MAX_BYTES, type RetryLimits } from "../limits.ts";
import { type RawResponse, sendRequest } from "./attempt.ts";
import { Download } from "./download.ts";
import { AttemptError, describeStatus, describeTransportError, type Failure } from "./failure.ts";
import type { HttpRequest, HttpResponse } from "./http-message.ts";
import { RetryClock, waitMs } from "./retry-policy.ts";
import { StallDetector } from "./stall-detector.ts";
import type { UrlPolicy } from "./url-policy.ts";
import { formatPublicUrl } from "./url-policy.ts";

/** What all requests of a client share. */
export interface RequestContext {
  dispatcher: Dispatcher;
  policy: UrlPolicy;
  limits: RetryLimits;
  log: { warn(message: string): void };
  userAgent: string;
  /** Origins that have responded; requests to them are retried for longer. */
  answeredOrigins: Set<string>;
}

const VERB: Readonly<Record<string, string>> = {
  GET: "fetch",
  HEAD: "look at",
  PUT: "upload to",
  POST: "post to",
  DELETE: "delete",
};

/** An attempt that has received its response's headers. */
interface OpenAttempt {
  response: RawResponse;
  stall: StallDetector;
  abort(): void;
}

export class ResumableRequest {
  readonly #context: RequestContext;
  readonly #request: HttpRequest;
  readonly #limits: RetryLimits;
  readonly #method: string;
  readonly #subject: string;
  readonly #url: URL;
  readonly #download: Download;
  readonly #clock: RetryClock;

  /** Throws FETCH_BAD_URL and FETCH_INSECURE_REFUSED. */
  constructor(context: RequestContext, url: string, request: HttpRequest) {
    this.#context = context;
    this.#request = request;
    this.#limits = { ...context.limits, ...request.retry };
    this.#method = request.method ?? "GET";
    this.#subject = request.subject ?? `${VERB[this.#method]} "${formatPublicUrl(url)}"`;
    this.#download = new Download(request);
    this.#clock = new RetryClock(this.#limits);
    const checked = context.policy.check(url, request);
    if (!(checked instanceof URL)) throw this.#createError(checked);
    this.#url = checked;
  }

  async start(): Promise<HttpResponse> {
    const opened = await this.#open();
    const { sizeBytes, totalBytes } = this.#download;
    const { status, headers } = opened.response;
    return { status, headers, sizeBytes, totalBytes, body: this.#readBody(opened), discard: opened.abort };
  }

  async *#readBody(opened: OpenAttempt): AsyncGenerator<Buffer, void, undefined> {
    const { signal, ranges, suffixBytes } = this.#request;
    let current = opened;
    try {
      for (;;) {
        try {
          for await (const chunk of this.#download.read(current.response, current.stall)) {
            this.#clock.noteProgress(chunk.length);
            yield chunk;
          }
          return;
        } catch (error) {
          current.abort();
          const failure = explain(error, current.stall, signal);
          // Of several ranges only the reader knows which are still missing.
          const isLost = (ranges ?? suffixBytes) !== undefined && this.#download.deliveredBytes > 0;
          await this.#waitForRetry(isLost ? { ...failure, isTransient: false } : failure);
        }
        current = await this.#open();
      }
    } finally {
      current.abort();
    }
  }

  async #open(): Promise<OpenAttempt> {
    const download = this.#download;
    for (;;) {
      const stop = new AbortController();
      const stall = new StallDetector(this.#limits, () => stop.abort());
      const abort = (): void => {
        stall.stop();
        stop.abort();
      };
      try {
        return { response: await this.#attempt(stop.signal, stall), stall, abort };
      } catch (error) {
        abort();
        let failure = explain(error, stall, this.#request.signal);
        const isRangeLost = failure.code === "FETCH_WRONG_RANGE" && download.deliveredBytes > 0;
        if (isRangeLost && !download.isRangeDistrusted) {
          // The range may lie beyond the end of a file that shrank: a request for the whole file shows what happened.
          download.isRangeDistrusted = true;
          failure = { ...failure, isTransient: true };
        }
        await this.#waitForRetry(failure);
      }
    }
  }

  /** Resolves with a response whose body continues the download. */
  async #attempt(stop: AbortSignal, stall: StallDetector): Promise<RawResponse> {
    const { dispatcher, policy, userAgent, answeredOrigins } = this.#context;
    const { authorize, signsUrls, body, allowsPlainHttp, signal, explainError } = this.#request;
    const response = await sendRequest(dispatcher, policy, {
      method: this.#method,
      url: this.#url,
      headers: {
        "user-agent": userAgent,
        // Digests and ranges count the bytes as they are stored.
        "accept-encoding": "identity",
        ...this.#request.headers,
        ...this.#download.rangeHeaders,
      },
      authorize,
      signsUrls,
      body,
      allowsPlainHttp,
      signal: signal ? AbortSignal.any([signal, stop]) : stop,
      stall,
    });
    answeredOrigins.add(this.#url.origin);
    const { status, headers } = response;
    if (status < 200 || status >= 300) {
      const failure = describeStatus(status, headers);
      if (!explainError) throw new AttemptError(failure);
      const errorBody = await stall.watch(readErrorBody(response));
      throw new AttemptError({ ...failure, ...explainError({ status, headers, body: errorBody }) });
    }
    this.#download.accept(response);
    return response;
  }

  /** Waits for the next attempt, or throws the failure of the last one. */
  async #waitForRetry(failure: Failure): Promise<void> {
    const { signal, isIdempotent } = this.#request;
    const clock = this.#clock;
    signal?.throwIfAborted();
    const isRepeatable = isIdempotent ?? (this.#method !== "POST" || failure.code === "FETCH_UNREACHABLE");
    const isKnownHost = this.#context.answeredOrigins.has(this.#url.origin);
    const delayMs =
      failure.isTransient && isRepeatable ? clock.planNext({ ...failure, isKnownHost }) : undefined;
    const reason = `${failure.reason}${this.#formatPosition()}`;
    if (delayMs === undefined) {
      if (clock.failures < 2) throw this.#createError(failure);
      const attempts = `attempt ${clock.failures}, ${formatSeconds(clock.elapsedMs)} without progress`;
      throw this.#createError({ ...failure, reason: `${reason} (${attempts})` });
    }
    const next = `attempt ${clock.failures + 1} in ${formatSeconds(delayMs)}`;
    this.#context.log.warn(`Cannot ${this.#subject} yet: ${reason}; ${next}`);
    await waitMs(delayMs, signal);
  }

  #formatPosition(): string {
    const { deliveredBytes, sizeBytes } = this.#download;
    if (deliveredBytes === 0) return "";
    return ` at byte ${deliveredBytes}${sizeBytes === undefined ? "" : ` of ${sizeBytes}`}`;
  }

  #createError({ code, reason, hint, cause }: Failure): AgentError {
    const attempts = Math.max(1, this.#clock.failures);
    const context = this.#url && {
      url: formatPublicUrl(this.#url),
      attempts,
      offsetBytes: this.#download.nextByte,
    };
    return new AgentError(code, `Cannot ${this.#subject}: ${reason}`, { context, hint, cause });
  }
}

/**
 * The failure behind an error: the caller's abort reason first, then a judgement of ours, then a limit that stopped the attempt,
 * then the transport's. Throws what is not a failure of the network.
 */
function explain(error: unknown, stall: StallDetector, signal: AbortSignal | undefined): Failure {
  signal?.throwIfAborted();
  if (error instanceof AttemptError) return error.failure;
  if (error instanceof AgentError) throw error;
  const failure = stall.failure ?? describeTransportError(error);
  if (!failure) throw error;
  return failure;
}

/** As much of the body as arrives: the status is known already. */
async function readErrorBody({ body }: RawResponse): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      sizeBytes += chunk.length;
      if (sizeBytes > ERROR_BODY_MAX_BYTES) break;
    }
  } catch {
    // An interrupted explanation is better than none.
  }
  return Buffer.concat(chunks);
}
