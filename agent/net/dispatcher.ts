/**
 * Our undici Agent: one pool of connections an origin, with the certificates that origin must show.
 * A proxy would come in here, as undici's EnvHttpProxyAgent with the same factory.
 */
import { createSecureContext, rootCertificates, type SecureContext } from "node:tls";
import { Agent, type Dispatcher, Pool } from "undici";
import { RESPONSE_HEADERS_MAX_BYTES } from "../limits.ts";
import type { HostRules } from "./host-rules.ts";

export interface DispatcherOptions {
  /** PEM of certificate authorities that are trusted beside the usual ones. */
  extraCa?: string;
  connectTimeoutMs: number;
}

export function createDispatcher(
  rules: HostRules,
  { extraCa, connectTimeoutMs }: DispatcherOptions,
): Dispatcher {
  // Parsed once: 140 root certificates for every connection would cost more than the handshake.
  let context: SecureContext | undefined;
  const secureContext = (): SecureContext => {
    context ??= createSecureContext(extraCa ? { ca: [...rootCertificates, extraCa] } : {});
    return context;
  };
  return new Agent({
    factory: (origin, options) => {
      const url = new URL(origin);
      const tls = rules.isInsecure(url) ? { rejectUnauthorized: false } : { secureContext: secureContext() };
      return new Pool(origin, {
        ...options,
        // HTTP/1.1 only: a lost connection then costs one stream, and a slow reader holds up no other.
        allowH2: false,
        pipelining: 1,
        maxHeaderSize: RESPONSE_HEADERS_MAX_BYTES,
        // Time is kept by our own pace watch, which knows a slow reader from a silent server.
        headersTimeout: 0,
        bodyTimeout: 0,
        connect: { timeout: connectTimeoutMs, ...(url.protocol === "https:" && tls) },
      });
    },
  });
}
