/**
 * Whether a host speaks HTTPS or, where the job allows it, plain HTTP: TLS is tried first, as podman does.
 */
import { AgentError } from "../../errors.ts";
import type { RetryLimits } from "../limits.ts";
import type { HttpClient } from "./http-message.ts";
import { createRetryClock, waitMs } from "./retry-policy.ts";

export interface OriginFinderOptions {
  fetch: HttpClient["fetch"];
  isInsecure(url: URL): boolean;
  limits: RetryLimits;
  log: { warn(message: string): void };
}

export function createOriginFinder({ fetch, isInsecure, limits, log }: OriginFinderOptions) {
  const known = new Map<string, string>();

  /** What is wrong with this origin, or undefined when it answered, were it with an error status. */
  async function knock(origin: string, signal: AbortSignal | undefined): Promise<AgentError | undefined> {
    try {
      const response = await fetch(`${origin}/`, {
        method: "HEAD",
        retry: { budgetMs: 0 },
        signal,
      });
      response.discard();
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      if (error.code.startsWith("FETCH_") && error.code !== "FETCH_REDIRECT_REFUSED") return error;
    }
    return undefined;
  }

  return async function findOrigin(host: string, { signal }: { signal?: AbortSignal } = {}): Promise<string> {
    const secure = `https://${host}`;
    const plain = `http://${host}`;
    if (!URL.canParse(secure) || !isInsecureHost(plain)) return secure;
    const clock = createRetryClock(limits);
    for (;;) {
      const found = known.get(host);
      if (found) return found;
      const failure = await knock(secure, signal);
      const isPlain = failure !== undefined && (await knock(plain, signal)) === undefined;
      if (failure === undefined || isPlain) {
        known.set(host, isPlain ? plain : secure);
        continue;
      }
      const delayMs = clock.planNext({ isKnownHost: false });
      if (delayMs === undefined) throw failure;
      log.warn(`Cannot reach "${host}" yet, by HTTPS or plain HTTP: ${failure.message}`);
      await waitMs(delayMs, signal);
    }
  };

  function isInsecureHost(plain: string): boolean {
    return isInsecure(new URL(plain)) || isInsecure(new URL(plain.replace(/^http:/, "https:")));
  }
}
