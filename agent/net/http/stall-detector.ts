/**
 * Tells a silent or trickling server from a slow reader: only time spent waiting for the other side counts.
 * Both limits are needed: a few bytes a minute are never silent (containerd#11650).
 */
import { formatSeconds } from "../../text.ts";
import type { RetryLimits } from "../limits.ts";
import type { Failure } from "./failure.ts";

export interface StallDetector {
  /** From here on we wait for the other side. */
  startWaiting(): void;
  stopWaiting(): void;
  noteBytes(bytes: number): void;
  end(): void;
}

export function createStallDetector(
  limits: RetryLimits,
  onFailure: (failure: Failure) => void,
): StallDetector {
  let waitingSinceMs: number | undefined;
  let waitedMs = 0;
  let windowBytes = 0;
  const check = (): void => {
    if (waitingSinceMs === undefined) return;
    const silentMs = performance.now() - waitingSinceMs;
    if (silentMs >= limits.silenceMs) {
      fail({
        code: "FETCH_STALLED",
        cameBack: `no byte for ${formatSeconds(silentMs)}`,
        isTransient: true,
      });
    } else if (waitedMs + silentMs >= limits.windowMs) {
      if (windowBytes < limits.minBytesPerWindow) {
        fail({
          code: "FETCH_TOO_SLOW",
          cameBack: `only ${windowBytes} bytes in ${formatSeconds(waitedMs + silentMs)}`,
          isTransient: true,
        });
      }
      waitedMs = -silentMs;
      windowBytes = 0;
    }
  };
  const timer = setInterval(check, Math.max(5, Math.min(limits.silenceMs, limits.windowMs) / 10));
  // The socket keeps the process alive; a body that nobody reads must not.
  timer.unref();
  const end = (): void => clearInterval(timer);
  const fail = (failure: Failure): void => {
    end();
    onFailure(failure);
  };
  const stopWaiting = (): void => {
    if (waitingSinceMs === undefined) return;
    waitedMs += performance.now() - waitingSinceMs;
    waitingSinceMs = undefined;
  };
  return {
    startWaiting() {
      waitingSinceMs ??= performance.now();
    },
    stopWaiting,
    noteBytes(bytes) {
      windowBytes += bytes;
      if (waitingSinceMs === undefined) return;
      // Bytes of an upload move while we wait for its answer.
      stopWaiting();
      waitingSinceMs = performance.now();
    },
    end,
  };
}
