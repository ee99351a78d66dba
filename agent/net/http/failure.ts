/**
 * One failed attempt: its error code, the reason, and whether another attempt may succeed.
 * Errors of undici, Node's sockets and OpenSSL are told apart by their codes, never by their texts.
 */
import type { ErrorCode } from "../../errors.ts";
import { parseRetryAfter } from "./retry-policy.ts";

export interface Failure {
  code: ErrorCode;
  /** The second half of "Cannot fetch X: …". */
  reason: string;
  /** Whether another attempt may succeed. */
  isTransient?: boolean;
  retryAfterMs?: number;
  hint?: string;
  cause?: unknown;
}

/** Carries a failure to the retry loop. */
export class AttemptError extends Error {
  override readonly name = "AttemptError";
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.reason, { cause: failure.cause });
    this.failure = failure;
  }
}

const WRONG_TIME = /^CERT_(NOT_YET_VALID|HAS_EXPIRED)$/;
/** The other verification errors of OpenSSL, and the name check of Node. */
const UNTRUSTED =
  /^(CERT_|DEPTH_ZERO_|ERR_TLS_CERT_|HOSTNAME_|INVALID_(CA|PURPOSE)|PATH_LENGTH_|SELF_SIGNED_|UNABLE_TO_)/;
const UNRESOLVED = /^(ENOTFOUND|EAI_AGAIN|EAI_FAIL)$/;
const UNREACHABLE = /^(EADDRNOTAVAIL|E(HOST|NET)(DOWN|UNREACH)|UND_ERR_CONNECT_TIMEOUT)$/;
const INTERRUPTED =
  /^(ECONNABORTED|ECONNRESET|EPIPE|ETIMEDOUT|UND_ERR_SOCKET|UND_ERR_RES_CONTENT_LENGTH_MISMATCH)$/;

/** What an error of the transport means; undefined for errors that no network can cause, which are bugs of ours. */
export function describeTransportError(thrown: unknown): Failure | undefined {
  if (!(thrown instanceof Error)) return undefined;
  const code = thrown.name === "HTTPParserError" ? "HPE" : readCode(thrown);
  if (code === undefined) return undefined;
  const failure = (errorCode: ErrorCode, reason: string, isTransient = false): Failure => ({
    code: errorCode,
    reason,
    isTransient,
    cause: thrown,
  });
  const proxyStatus = /^Proxy response \((\d+)\)/.exec(thrown.message)?.[1];
  if (proxyStatus !== undefined || /^UND_ERR_PRX/.test(code) || /Proxy Authentication/.test(thrown.message)) {
    const how = proxyStatus === undefined ? thrown.message : `status ${proxyStatus}`;
    const isTransient = /^50[234]$/.test(proxyStatus ?? "") || code === "UND_ERR_PRX_CONN";
    return failure("FETCH_PROXY_FAILED", `the proxy refused the connection: ${how}`, isTransient);
  }
  if (WRONG_TIME.test(code)) {
    const state = code === "CERT_NOT_YET_VALID" ? "not valid yet" : "no longer valid";
    const now = new Date().toISOString();
    return failure("FETCH_TLS_CLOCK", `its certificate is ${state} by the DUT's clock, ${now}`);
  }
  if (UNTRUSTED.test(code)) return failure("FETCH_TLS_UNTRUSTED", `its certificate is not trusted (${code})`);
  if (UNRESOLVED.test(code))
    return failure("FETCH_UNREACHABLE", `its name cannot be resolved (${code})`, true);
  if (code === "ECONNREFUSED") return failure("FETCH_UNREACHABLE", "the connection was refused", true);
  if (UNREACHABLE.test(code))
    return failure("FETCH_UNREACHABLE", `no connection could be made (${code})`, true);
  if (INTERRUPTED.test(code)) return failure("FETCH_INTERRUPTED", `the connection was lost (${code})`, true);
  if (/^(EPROTO$|ERR_SSL_|ERR_TLS_)/.test(code))
    return failure("FETCH_TLS_FAILED", `the TLS handshake failed (${code})`);
  // A proxy that dies within a chunk looks like this as well, so it is tried again.
  if (code === "HPE") return failure("FETCH_BAD_RESPONSE", "the response is not HTTP", true);
  if (/^UND_ERR_(HEADERS_OVERFLOW|RESPONSE|INFO)/.test(code))
    return failure("FETCH_BAD_RESPONSE", `invalid HTTP response (${code})`);
  return undefined;
}

/** What a response with an error status means in general. */
export function describeStatus(status: number, headers: Readonly<Record<string, string>>): Failure {
  return {
    code: codeOfStatus(status),
    reason: `status ${status}`,
    isTransient: [408, 425, 429, 500, 502, 503, 504].includes(status) || status > 505,
    retryAfterMs: parseRetryAfter(headers["retry-after"], Date.now()),
  };
}

function codeOfStatus(status: number): ErrorCode {
  if (status === 401 || status === 407) return "HTTP_UNAUTHORIZED";
  if (status === 403) return "HTTP_FORBIDDEN";
  if (status === 404 || status === 410) return "HTTP_NOT_FOUND";
  if (status === 416) return "FETCH_WRONG_RANGE";
  if (status >= 500 || status === 429 || status === 408 || status === 425) return "HTTP_SERVER_ERROR";
  return status >= 400 ? "HTTP_REJECTED" : "FETCH_BAD_RESPONSE";
}

/** undici wraps some errors; an AggregateError (one failure for each address) has the code of the first. */
function readCode(error: Error): string | undefined {
  const { code } = error as { code?: unknown };
  if (typeof code === "string" && code !== "UND_ERR") return code;
  return error.cause instanceof Error ? readCode(error.cause) : undefined;
}
