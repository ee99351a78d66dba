/**
 * Tells a stalled server from a slow reader: only the time spent waiting for the server counts.
 * Both limits are needed: a server that sends a few bytes a minute is never silent (containerd#11650).
 */
import { formatSeconds } from "../../text.ts";
import type { RetryLimits } from "../limits.ts";
import type { Failure } from "./failure.ts";

export class StallDetector {
  /** Which limit the server exceeded. */
  failure: Failure | undefined;
  readonly #limits: RetryLimits;
  readonly #onStall: () => void;
  readonly #timer: NodeJS.Timeout;
  #waitingSinceMs: number | undefined;
  #waitedMs = 0;
  #windowBytes = 0;

  constructor(limits: RetryLimits, onStall: () => void) {
    this.#limits = limits;
    this.#onStall = onStall;
    this.#timer = setInterval(
      () => this.#check(),
      Math.max(5, Math.min(limits.silenceMs, limits.windowMs) / 10),
    );
    // The socket keeps the process alive; a body that is never read must not.
    this.#timer.unref();
  }

  /** Counts the time until the promise settles as time spent waiting for the server. */
  async watch<Result>(waiting: Promise<Result>): Promise<Result> {
    this.#waitingSinceMs ??= performance.now();
    try {
      return await waiting;
    } finally {
      this.#pause();
    }
  }

  noteBytes(bytes: number): void {
    this.#windowBytes += bytes;
    if (this.#waitingSinceMs === undefined) return;
    // During an upload bytes move while we wait for the response.
    this.#pause();
    this.#waitingSinceMs = performance.now();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #pause(): void {
    if (this.#waitingSinceMs === undefined) return;
    this.#waitedMs += performance.now() - this.#waitingSinceMs;
    this.#waitingSinceMs = undefined;
  }

  #check(): void {
    if (this.#waitingSinceMs === undefined) return;
    const { silenceMs, windowMs, minBytesPerWindow } = this.#limits;
    const silentMs = performance.now() - this.#waitingSinceMs;
    const waitedMs = this.#waitedMs + silentMs;
    if (silentMs >= silenceMs) {
      this.#fail("FETCH_STALLED", `no data for ${formatSeconds(silentMs)}`);
    } else if (waitedMs >= windowMs) {
      if (this.#windowBytes < minBytesPerWindow)
        this.#fail("FETCH_TOO_SLOW", `only ${this.#windowBytes} bytes in ${formatSeconds(waitedMs)}`);
      this.#waitedMs = -silentMs;
      this.#windowBytes = 0;
    }
  }

  #fail(code: Failure["code"], reason: string): void {
    this.failure = { code, reason, isTransient: true };
    this.stop();
    this.#onStall();
  }
}
