/**
 * When to try again: exponential delays with jitter, within a wall-clock budget that progress renews.
 * Retry-After: RFC 9110, section 10.2.3.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { RetryLimits } from "../limits.ts";
import { RETRY_LIMITS } from "../limits.ts";

export interface RetryState {
  /** Attempts that failed since the last progress, at least 1. */
  failures: number;
  elapsedMs: number;
  /** Whether the host has ever responded. */
  isKnownHost: boolean;
  retryAfterMs?: number;
}

/** The delay before the next attempt, or undefined when the budget is used up. `random` is in [0, 1). */
export function planRetryDelay(state: RetryState, limits: RetryLimits, random: number): number | undefined {
  const budgetMs = state.isKnownHost
    ? limits.budgetMs
    : Math.min(limits.firstContactBudgetMs, limits.budgetMs);
  const leftMs = budgetMs - state.elapsedMs;
  if (leftMs <= 0) return undefined;
  const steps = Math.min(state.failures - 1, 30);
  const fullMs = Math.min(limits.firstDelayMs * 2 ** steps, limits.maxDelayMs);
  // Half fixed, half random: the boards of one rack must not all retry the same server at once.
  const backoffMs = fullMs / 2 + (fullMs / 2) * random;
  const requestedMs = Math.min(state.retryAfterMs ?? 0, limits.maxRetryAfterMs);
  return Math.min(Math.max(backoffMs, requestedMs), leftMs);
}

/** Milliseconds from now; 0 for a date in the past, undefined for an invalid value. */
export function parseRetryAfter(header: string | undefined, nowMs: number): number | undefined {
  const text = header?.trim() ?? "";
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  if (!/^[A-Za-z]{3,9}, /.test(text)) return undefined;
  const dateMs = Date.parse(text);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - nowMs);
}

/** Measures one request's time without progress against the budget. */
export class RetryClock {
  readonly #limits: RetryLimits;
  #sinceMs = performance.now();
  #newBytes = 0;
  /** Attempts that failed since the last progress. */
  failures = 0;

  constructor(overrides: Partial<RetryLimits> = {}) {
    this.#limits = { ...RETRY_LIMITS, ...overrides };
  }

  get elapsedMs(): number {
    return performance.now() - this.#sinceMs;
  }

  noteProgress(bytes: number): void {
    this.#newBytes += bytes;
    const isProgress = this.#newBytes >= this.#limits.progressBytes;
    // The budget runs only after a failure: a slow download has not failed.
    if (isProgress || this.failures === 0) this.#sinceMs = performance.now();
    if (!isProgress) return;
    this.#newBytes = 0;
    this.failures = 0;
  }

  /** Counts a failure; returns the delay before the next attempt, or undefined to give up. */
  planNext({
    retryAfterMs,
    isKnownHost,
  }: {
    retryAfterMs?: number;
    isKnownHost: boolean;
  }): number | undefined {
    this.failures += 1;
    this.#newBytes = 0;
    const state = { failures: this.failures, elapsedMs: this.elapsedMs, isKnownHost, retryAfterMs };
    return planRetryDelay(state, this.#limits, Math.random());
  }
}

/** Rejects with the signal's own reason. */
export async function waitMs(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}
