/**
 * The HTTP(S) client of the agent: one retry policy, resumed downloads, and limits for stalled and slow servers.
 *
 * We do not use undici's retry handler: it ends a download when the resumed response is a 200 or has another ETag, resumes
 * unchecked without an ETag, and has neither a time budget nor a minimum speed. Its redirect handler follows from HTTPS
 * to HTTP. Below both, undici's Agent does the work.
 */
import { createSecureContext, rootCertificates, type SecureContext } from "node:tls";
import { Agent, type Dispatcher, Pool, ProxyAgent } from "undici";
import { AgentError } from "../../errors.ts";
import { RESPONSE_HEADERS_MAX_BYTES, RETRY_LIMITS, type RetryLimits } from "../limits.ts";
import type { HttpClient } from "./http-message.ts";
import { type RequestContext, ResumableRequest } from "./resumable-request.ts";
import { RetryClock, waitMs } from "./retry-policy.ts";
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
  const { insecureHosts, log, userAgent = "dutboot" } = options;
  const limits: RetryLimits = { ...RETRY_LIMITS, ...options.retry };
  const policy = new UrlPolicy(insecureHosts);
  const dispatcher = createDispatcher(policy, limits.connectTimeoutMs, options);
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

/**
 * undici's Agent with one connection pool for each origin, with its TLS settings and the proxy of its scheme. A proxy gets whole
 * requests for plain HTTP, and a tunnel for HTTPS.
 */
function createDispatcher(
  policy: UrlPolicy,
  connectTimeoutMs: number,
  { extraCa, proxies = {} }: Pick<HttpClientOptions, "extraCa" | "proxies">,
): Dispatcher {
  // Parsed once: parsing 140 root certificates for every connection would cost more than the handshake.
  let trusted: SecureContext | undefined;
  const tlsFor = (url: URL) => {
    if (url.protocol !== "https:") return {};
    if (policy.isInsecure(url))
      return { rejectUnauthorized: false, secureContext: createSecureContext({ ca: [] }) };
    trusted ??= createSecureContext(extraCa ? { ca: [...rootCertificates, extraCa] } : {});
    return { secureContext: trusted };
  };
  const createPool = (origin: string | URL, options: object, connect: Pool.Options["connect"]): Pool =>
    new Pool(origin, {
      ...options,
      // HTTP/1.1 only: a lost connection then costs one stream, and a slow reader delays no other stream.
      allowH2: false,
      pipelining: 1,
      maxHeaderSize: RESPONSE_HEADERS_MAX_BYTES,
      // The stall detector replaces undici's timeouts: it tells a slow reader from a silent server.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect,
    });
  return new Agent({
    factory: (origin, options) => {
      const url = new URL(origin);
      const proxy = isLoopback(url.hostname) ? undefined : proxies[url.protocol.slice(0, -1)];
      if (proxy === undefined)
        return createPool(origin, options, { timeout: connectTimeoutMs, ...tlsFor(url) });
      return new ProxyAgent({
        uri: proxy,
        connectTimeout: connectTimeoutMs,
        requestTls: tlsFor(url),
        proxyTls: tlsFor(new URL(proxy)),
        // The agent's own `connect` leads through the proxy.
        factory: (to, { connect, ...rest }: Pool.Options) => createPool(to, rest, connect),
      });
    },
  });
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\./.test(hostname);
}

function createSchemeProbe(
  fetch: HttpClient["fetch"],
  { policy, limits, log }: Pick<RequestContext, "policy" | "limits" | "log">,
): HttpClient["findOrigin"] {
  const origins = new Map<string, string>();

  /** Why the origin cannot be used, or undefined when it responds, even with an error status. */
  async function probe(origin: string, signal: AbortSignal | undefined): Promise<AgentError | undefined> {
    try {
      (await fetch(`${origin}/`, { method: "HEAD", retry: { budgetMs: 0 }, signal })).discard();
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      if (error.code.startsWith("FETCH_") && error.code !== "FETCH_REDIRECT_REFUSED") return error;
    }
    return undefined;
  }

  return async (host, { signal } = {}) => {
    const secure = `https://${host}`;
    const plain = `http://${host}`;
    if (!URL.canParse(secure)) return secure;
    if (!policy.isInsecure(new URL(plain)) && !policy.isInsecure(new URL(secure))) return secure;
    const clock = new RetryClock(limits);
    for (;;) {
      // Another request may have found the origin in the meantime.
      const known = origins.get(host);
      if (known) return known;
      const failure = await probe(secure, signal);
      if (failure === undefined) origins.set(host, secure);
      else if ((await probe(plain, signal)) === undefined) origins.set(host, plain);
      else {
        const delayMs = clock.planNext({ isKnownHost: false });
        if (delayMs === undefined) throw failure;
        log.warn(`Cannot reach "${host}" yet, by HTTPS or plain HTTP: ${failure.message}`);
        await waitMs(delayMs, signal);
      }
    }
  };
}
