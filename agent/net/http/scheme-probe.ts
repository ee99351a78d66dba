/**
 * Finds out whether a host speaks HTTPS or, where the job allows it, plain HTTP. HTTPS is tried first, as podman does.
 */
import { AgentError } from "../../errors.ts";
import type { HttpClient } from "./http-message.ts";
import type { RequestContext } from "./resumable-request.ts";
import { RetryClock, waitMs } from "./retry-policy.ts";

export function createSchemeProbe(
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
