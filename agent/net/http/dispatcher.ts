/**
 * Our undici Agent: one connection pool for each origin, with its TLS settings and the proxy that the job names for its scheme.
 * A proxy gets whole requests for plain HTTP, and a tunnel for HTTPS.
 */
import { createSecureContext, rootCertificates, type SecureContext } from "node:tls";
import { Agent, type Dispatcher, Pool, ProxyAgent } from "undici";
import { RESPONSE_HEADERS_MAX_BYTES } from "../limits.ts";
import type { UrlPolicy } from "./url-policy.ts";

export function createDispatcher(
  policy: UrlPolicy,
  {
    connectTimeoutMs,
    extraCa,
    proxies = {},
  }: { connectTimeoutMs: number; extraCa?: string; proxies?: Readonly<Record<string, string>> },
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
