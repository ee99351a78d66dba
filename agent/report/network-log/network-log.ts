/**
 * The log's copy over the network (`dut.log`): all that the consoles get, with nothing elided, and the kernel's messages. The reader is
 * known only once the job is; until then the lines are kept. Outages are logged once each, and nothing waits for the network but the
 * machine's end, for a bounded time.
 */
import {
  NETWORK_LOG_FLUSH_MS,
  NETWORK_LOG_LOST_INTERVAL_MS,
  NETWORK_LOG_RETRY_MAX_MS,
  NETWORK_LOG_RETRY_MS,
} from "../limits.ts";
import { LineQueue, type LineQueueOptions, type LineSource } from "./line-queue.ts";

export interface LogTransport {
  /** For log messages, without secrets. */
  readonly location: string;
  /** The reader takes bytes, so that the test's open line is sent as it comes. */
  readonly isUnbuffered?: boolean;
  /**
   * Sends lines until there are none left, and acknowledges those that the reader is sure to have. Throws when the reader cannot be
   * reached or stalls; settles soon after `signal`. `onUp`: the reader accepts lines.
   */
  run(source: LineSource, options: { signal: AbortSignal; onUp: () => void }): Promise<void>;
}

export interface NetworkLogOptions extends LineQueueOptions {
  log: { info(line: string): void; warn(line: string): void };
  /** Takes secrets out of a line. */
  clean: (line: string) => string;
  retryMs?: number;
  flushMs?: number;
  lostIntervalMs?: number;
}

export class NetworkLog {
  readonly #options: NetworkLogOptions;
  readonly #retryMs: number;
  readonly #queue: LineQueue;
  readonly #stop = new AbortController();
  #sending: Promise<void> | undefined;
  #location = "";
  #isDown = false;
  #wasUp = false;
  #failures = 0;
  #reportedLostAt = Number.NEGATIVE_INFINITY;

  constructor(options: NetworkLogOptions) {
    this.#options = options;
    this.#retryMs = options.retryMs ?? NETWORK_LOG_RETRY_MS;
    this.#queue = new LineQueue(options);
  }

  line(text: string, origin?: "dutboot" | "kernel"): void {
    this.#queue.line(text, origin);
  }

  output(chunk: Buffer): void {
    this.#queue.output(chunk);
  }

  endOutput(): void {
    this.#queue.endOutput();
  }

  /** Once the job names a reader and the network is up. */
  start(transport: LogTransport): void {
    if (this.#sending || this.#queue.isEnded) return;
    this.#location = transport.location;
    if (transport.isUnbuffered) this.#queue.unbuffer();
    // The first lines came before all of the job's secrets were known.
    this.#queue.cleanKept(this.#options.clean);
    this.#sending = this.#send(transport);
  }

  /** The job names no reader: drops what is kept, and keeps nothing from now on. */
  discard(): void {
    if (!this.#sending) this.#queue.discard();
  }

  /** Sends what is queued, for a bounded time, and ends the connection. */
  async close(): Promise<void> {
    this.#reportLost();
    this.#queue.end();
    if (this.#sending) {
      const timer = setTimeout(() => this.#stop.abort(), this.#options.flushMs ?? NETWORK_LOG_FLUSH_MS);
      const stopped = new Promise((resolve) => this.#stop.signal.addEventListener("abort", resolve));
      await Promise.race([this.#sending, stopped]);
      clearTimeout(timer);
    }
    this.#queue.discard();
  }

  async #send(transport: LogTransport): Promise<void> {
    const { signal } = this.#stop;
    const onUp = () => this.#reportUp();
    const source: LineSource = {
      next: (options) => this.#queue.next(options),
      acknowledge: (number) => this.#acknowledge(number),
    };
    while (!signal.aborted) {
      try {
        return await transport.run(source, { signal, onUp });
      } catch (error) {
        if (signal.aborted) return;
        this.#queue.rewind();
        this.#reportDown(error as Error);
        await this.#pause(
          Math.min(this.#retryMs * 2 ** Math.min(this.#failures++, 16), NETWORK_LOG_RETRY_MAX_MS),
        );
      }
    }
  }

  #acknowledge(number: number): void {
    this.#queue.acknowledge(number);
    this.#failures = 0;
    const intervalMs = this.#options.lostIntervalMs ?? NETWORK_LOG_LOST_INTERVAL_MS;
    if (performance.now() - this.#reportedLostAt > intervalMs) this.#reportLost();
  }

  /** Shorter once no line comes any more: there is little time for what is left. */
  #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const isEnded = this.#queue.isEnded;
    const timer = setTimeout(resolve, isEnded ? Math.min(ms, this.#retryMs) : ms).unref();
    this.#stop.signal.addEventListener("abort", () => resolve(), { once: true });
    if (!isEnded) this.#queue.onceEnded(resolve);
    return promise.finally(() => clearTimeout(timer));
  }

  #reportUp(): void {
    if (this.#isDown || !this.#wasUp)
      this.#options.log.info(`log: sent to ${this.#location}${this.#wasUp ? " again" : ""}`);
    this.#isDown = false;
    this.#wasUp = true;
  }

  /** Once per outage: an absent reader must not fill the log. */
  #reportDown({ message }: Error): void {
    if (!this.#isDown) this.#options.log.warn(`log: cannot send to ${this.#location}, retrying: ${message}`);
    this.#isDown = true;
  }

  #reportLost(): void {
    const lost = this.#queue.takeLost();
    if (!lost) return;
    this.#reportedLostAt = performance.now();
    const lines =
      lost.count === 1 ? `line ${lost.from} is` : `${lost.count} lines (${lost.from} to ${lost.to}) are`;
    this.#options.log.warn(
      `log: ${lines} missing at ${this.#location}: the queue was full; the results have them`,
    );
  }
}
