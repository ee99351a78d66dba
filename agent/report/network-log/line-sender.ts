/**
 * Sends the numbered lines of the log by one transport, for as long as there are lines: over outages, which are told once each,
 * from the first line that was not acknowledged. Nobody waits for it but the machine's end, for a bounded time.
 */
import { NETWORK_LOG_RETRY_MAX_MS, NETWORK_LOG_RETRY_MS, NETWORK_LOG_TELL_LOST_MS } from "../limits.ts";
import type { LineQueue, LineSource } from "./line-queue.ts";

export interface LogTransport {
  /** For people, without secrets. */
  readonly place: string;
  /**
   * Takes lines until there are none left, and acknowledges those that the reader has for sure. Throws when the reader cannot be
   * reached or takes nothing any more; rejects soon after `signal` in any case. `onUp` says that the reader takes lines.
   */
  run(source: LineSource, options: { signal: AbortSignal; onUp: () => void }): Promise<void>;
}

export interface LineSender {
  /** No line comes any more: sends what is left, for so long at most. */
  finish(flushMs: number): Promise<void>;
}

export interface LineSenderOptions {
  log: { info(line: string): void; warn(line: string): void };
  retryMs?: number;
  tellLostMs?: number;
}

export function sendLines(queue: LineQueue, transport: LogTransport, options: LineSenderOptions): LineSender {
  const { log, retryMs = NETWORK_LOG_RETRY_MS, tellLostMs = NETWORK_LOG_TELL_LOST_MS } = options;
  const { place } = transport;
  const stop = new AbortController();
  let isDown = false;
  let wasUp = false;
  let failures = 0;
  let toldAt = Number.NEGATIVE_INFINITY;

  const tellLost = () => {
    const lost = queue.takeLost();
    if (!lost) return;
    toldAt = performance.now();
    const count =
      lost.count === 1 ? `line ${lost.from} is` : `${lost.count} lines (${lost.from} to ${lost.to}) are`;
    log.warn(`log: ${count} missing at ${place}: nobody took them in time; the results have them`);
  };
  const source: LineSource = {
    next: queue.next,
    acknowledge(number) {
      queue.acknowledge(number);
      failures = 0;
      if (performance.now() - toldAt > tellLostMs) tellLost();
    },
  };
  const onUp = () => {
    if (isDown || !wasUp) log.info(`log: sent to ${place}${wasUp ? " again" : ""}`);
    isDown = false;
    wasUp = true;
  };
  const tellDown = (error: unknown) => {
    // Once for each time it is away: a reader that stays away must not fill the log with it.
    if (!isDown) log.warn(`log: ${place} does not take the log: ${(error as Error).message}`);
    isDown = true;
  };
  const send = async () => {
    while (!stop.signal.aborted) {
      try {
        return await transport.run(source, { signal: stop.signal, onUp });
      } catch (error) {
        if (stop.signal.aborted) return;
        queue.rewind();
        tellDown(error);
        await pause(Math.min(retryMs * 2 ** Math.min(failures++, 16), NETWORK_LOG_RETRY_MAX_MS));
      }
    }
  };
  /** Ends early where no line comes any more: what is left has little time. */
  const pause = (ms: number) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, queue.isEnded ? Math.min(ms, retryMs) : ms).unref();
    stop.signal.addEventListener("abort", () => resolve(), { once: true });
    if (!queue.isEnded) queue.onceEnded(resolve);
    return promise.finally(() => clearTimeout(timer));
  };
  const sending = send();

  return {
    async finish(flushMs) {
      tellLost();
      queue.end();
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(() => {
        stop.abort();
        resolve();
      }, flushMs);
      await Promise.race([sending, promise]);
      clearTimeout(timer);
    },
  };
}
