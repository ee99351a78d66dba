/** Waits with a time limit. */
import { setTimeout as sleep } from "node:timers/promises";

/** Polls until `check` is true; false after `waitMs`. Throws the signal's reason. */
export async function pollUntil(
  check: () => boolean,
  { waitMs, pollMs, signal }: { waitMs: number; pollMs: number; signal?: AbortSignal },
): Promise<boolean> {
  const until = performance.now() + waitMs;
  while (!check()) {
    signal?.throwIfAborted();
    if (performance.now() > until) return false;
    await sleep(pollMs);
  }
  return true;
}

/** Whether the work resolves or rejects within the limit. Throws the signal's reason. */
export async function settlesWithin(
  work: Promise<unknown>,
  limitMs: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const over = new AbortController();
  const limit = sleep(limitMs, false, {
    signal: signal ? AbortSignal.any([signal, over.signal]) : over.signal,
  });
  const settled = work.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([settled, limit.catch(() => false)]);
  } finally {
    over.abort();
    signal?.throwIfAborted();
  }
}
