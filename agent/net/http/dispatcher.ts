/**
 * Our undici Agent: one pool of connections an origin, with the certificates that origin must show, by the proxy that
 * the job names for its scheme. A proxy sees whole requests for plain HTTP, and a tunnel for HTTPS.
 */
import { createSecureContext, rootCertificates, type SecureContext } from "node:tls";
import { Agent, type Dispatcher, Pool, ProxyAgent } from "undici";
import { RESPONSE_HEADERS_MAX_BYTES } from "../limits.ts";
import type { UrlPolicy } from "./url-policy.ts";

export interface DispatcherOptions {
  /** PEM of certificate authorities that are trusted beside the usual ones. */
  extraCa?: string;
  connectTimeoutMs: number;
  /** URL of the proxy by the scheme of what is fetched: `{https: "http://host:3128"}`. This machine itself needs none. */
  proxies?: Readonly<Record<string, string>>;
}

export function createDispatcher(
  rules: UrlPolicy,
  { extraCa, connectTimeoutMs, proxies = {} }: DispatcherOptions,
): Dispatcher {
  // Parsed once: 140 root certificates for every connection would cost more than the handshake.
  let checked: SecureContext | undefined;
  const tlsFor = (url: URL) => {
    if (url.protocol !== "https:") return {};
    // Without any of them where none is looked at.
    if (rules.isInsecure(url))
      return { rejectUnauthorized: false, secureContext: createSecureContext({ ca: [] }) };
    checked ??= createSecureContext(extraCa ? { ca: [...rootCertificates, extraCa] } : {});
    return { secureContext: checked };
  };
  const createPool = (origin: string | URL, options: object, connect: Pool.Options["connect"]): Pool =>
    new Pool(origin, {
      ...options,
      // HTTP/1.1 only: a lost connection then costs one stream, and a slow reader holds up no other.
      allowH2: false,
      pipelining: 1,
      maxHeaderSize: RESPONSE_HEADERS_MAX_BYTES,
      // Time is kept by our own pace watch, which knows a slow reader from a silent server.
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
        // Its own way to connect is the way through the proxy.
        factory: (to, { connect, ...rest }: Pool.Options) => createPool(to, rest, connect),
      });
    },
  });
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "[::1]" || /^127\./.test(hostname);
}
