/**
 * The HTTP(S) client of the agent: one retry policy, resumed downloads, and limits for stalled and slow servers.
 *
 * We do not use undici's retry handler: it ends a download when the resumed response is a 200 or has another ETag, resumes
 * unchecked without an ETag, and has neither a time budget nor a minimum speed. Its redirect handler follows from HTTPS
 * to HTTP. Below both, undici's Agent does the work.
 */
import { RETRY_LIMITS, type RetryLimits } from "../limits.ts";
import { createDispatcher } from "./dispatcher.ts";
import type { HttpClient } from "./http-message.ts";
import { type RequestContext, ResumableRequest } from "./resumable-request.ts";
import { createSchemeProbe } from "./scheme-probe.ts";
import { UrlPolicy } from "./url-policy.ts";

export type { HttpClient, HttpRequest } from "./http-message.ts";

export interface HttpClientOptions {
  /** `host` or `host:port`: plain HTTP and unknown certificates are accepted there. */
  insecureHosts: readonly string[];
  /** Certificate authorities in PEM, trusted beside the usual ones. */
  extraCa?: string;
  /** Gets a line for every retry, so that people see why nothing moves. */
  log: { warn(message: string): void };
  retry?: Partial<RetryLimits>;
  /** URL of the proxy for each scheme: `{https: "http://host:3128"}`. Requests to this machine use none. */
  proxies?: Readonly<Record<string, string>>;
  userAgent?: string;
}

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { insecureHosts, extraCa, log, proxies, userAgent = "dutboot" } = options;
  const limits: RetryLimits = { ...RETRY_LIMITS, ...options.retry };
  const policy = new UrlPolicy(insecureHosts);
  const { connectTimeoutMs } = limits;
  const dispatcher = createDispatcher(policy, { connectTimeoutMs, extraCa, proxies });
  const answeredOrigins = new Set<string>();
  const context: RequestContext = { dispatcher, policy, limits, log, userAgent, answeredOrigins };
  const fetch: HttpClient["fetch"] = async (url, request = {}) =>
    new ResumableRequest(context, url, request).start();
  return {
    fetch,
    findOrigin: createSchemeProbe(fetch, context),
    close: () => dispatcher.destroy(),
  };
}
