/**
 * The one way to the network: HTTP(S) with one retry policy, resumed downloads, and limits on silence and trickling.
 *
 * undici's own retry handler was tried and left: it ends a download when a resumed answer is 200 or has another ETag,
 * resumes unchecked without an ETag, and knows neither a budget in time nor a trickle. Its redirect handler follows from
 * HTTPS down to HTTP. Below both, undici's Agent does the work.
 */
import { RETRY_LIMITS, type RetryLimits } from "../limits.ts";
import { createDispatcher } from "./dispatcher.ts";
import type { HttpClient } from "./http-message.ts";
import { startTransfer, type TransferContext } from "./resumable-request.ts";
import { createOriginFinder } from "./scheme-probe.ts";
import { createUrlPolicy } from "./url-policy.ts";

export type { HttpClient, HttpRequest } from "./http-message.ts";

export interface HttpClientOptions {
  /** `host` or `host:port`: plain HTTP and unknown certificates are allowed there. */
  insecureHosts: readonly string[];
  /** PEM, trusted beside the usual authorities. */
  extraCa?: string;
  /** Told of every retry, so that a person sees why nothing moves. */
  log: { warn(message: string): void };
  retry?: Partial<RetryLimits>;
  /** URL of the proxy by the scheme of what is fetched. */
  proxies?: Readonly<Record<string, string>>;
  userAgent?: string;
}

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const limits: RetryLimits = { ...RETRY_LIMITS, ...options.retry };
  const rules = createUrlPolicy(options.insecureHosts);
  const context: TransferContext = {
    dispatcher: createDispatcher(rules, {
      connectTimeoutMs: limits.connectTimeoutMs,
      extraCa: options.extraCa,
      proxies: options.proxies,
    }),
    rules,
    limits,
    log: options.log,
    userAgent: options.userAgent ?? "dutboot",
    answeredOrigins: new Set(),
  };
  const fetch: HttpClient["fetch"] = (url, request = {}) => startTransfer(context, url, request);
  return {
    fetch,
    findOrigin: createOriginFinder({ fetch, isInsecure: rules.isInsecure, limits, log: options.log }),
    close: () => context.dispatcher.destroy(),
  };
}
