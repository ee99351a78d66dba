/**
 * Worker threads that unpack one archive each, so that the main thread stays free for network, log and watchdog.
 * A stream has a few buffers that are sent to its worker and come back; while all are away, the source waits.
 */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { AgentError } from "../../errors.ts";
import {
  UNPACK_BUFFER_BYTES,
  UNPACK_BUFFERS,
  UNPACK_WORKER_IDLE_MS,
  UNPACK_WORKER_KEEP_FILES,
  UNPACK_WORKERS_MAX,
} from "../limits.ts";
import type { LayerSource, UnpackOptions } from "../root-driver.ts";
import { createBufferCollector } from "./force-gc.ts";
import {
  type FromWorker,
  fromErrorRecord,
  type RebuildAnswer,
  type RebuildQuestion,
  type ToWorker,
  type UnpackResult,
  type WorkerJob,
} from "./messages.ts";

export interface WorkOptions extends UnpackOptions {
  /** Answers the questions of the job. */
  onAsk?: (question: RebuildQuestion) => Promise<RebuildAnswer>;
}

export interface UnpackPool {
  /** Waits for a free worker, opens the source and unpacks it. Throws AgentError, and what the source throws. */
  unpack(job: WorkerJob, source: Pick<LayerSource, "open">, options?: WorkOptions): Promise<UnpackResult>;
  /** Starts a worker if none is idle, for a job that will follow after a network request. */
  warmUp(): void;
}

export interface UnpackPoolOptions {
  workers?: number;
  idleMs?: number;
}

export function createUnpackPool({
  workers = Math.min(availableParallelism(), UNPACK_WORKERS_MAX),
  idleMs = UNPACK_WORKER_IDLE_MS,
}: UnpackPoolOptions = {}): UnpackPool {
  const idle = new Map<Worker, NodeJS.Timeout>();
  const waiting: (() => void)[] = [];
  let free = workers;

  const takeWorker = (): Worker => {
    const [known] = idle.entries();
    if (!known) return startWorker();
    const [worker, timer] = known;
    clearTimeout(timer);
    idle.delete(worker);
    worker.ref();
    return worker;
  };

  const release = (worker: Worker): void => {
    worker.unref();
    const timer = setTimeout(() => {
      idle.delete(worker);
      dismiss(worker);
    }, idleMs);
    idle.set(worker, timer.unref());
  };

  const waitForTurn = async (): Promise<void> => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
  };

  const endTurn = (): void => {
    const next = waiting.shift();
    if (next) next();
    else free++;
  };

  return {
    warmUp() {
      if (free > 0 && idle.size === 0) release(startWorker());
    },

    async unpack(job, source, options = {}) {
      await waitForTurn();
      try {
        options.signal?.throwIfAborted();
        // A new thread loads its code while the source is opened.
        const worker = takeWorker();
        const session = new Session(worker, options);
        try {
          return await session.run(job, await session.open(source));
        } finally {
          if (session.isWorkerIdle && !session.isWorkerLarge) release(worker);
          else dismiss(worker);
        }
      } finally {
        endTurn();
      }
    },
  };
}

/**
 * Asks the worker to end. It is never terminated: native code that is stopped between two lines of JavaScript (zstd-napi, also
 * while it is loaded) throws an exception that cannot be caught and ends the whole agent.
 */
function dismiss(worker: Worker): void {
  worker.unref();
  worker.postMessage({ type: "leave" } satisfies ToWorker);
}

/** The .ts file in the source tree, the bundle beside main.js in the initrd. */
function startWorker(): Worker {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  // Node would warn about each descriptor that it did not open itself.
  return new Worker(new URL(`./unpack-worker.${extension}`, import.meta.url), { trackUnmanagedFds: false });
}

/** One archive's communication with its worker. */
class Session {
  /** False while a job may still run in the worker. */
  isWorkerIdle = false;
  /** The worker holds much memory after a large archive and should end. */
  isWorkerLarge = false;
  readonly #worker: Worker;
  readonly #options: WorkOptions;
  readonly #empty: Uint8Array<ArrayBuffer>[] = [];
  #buffers = 0;
  #wake: (() => void) | undefined;
  #bytesIn = 0;
  /** The worker may have another job when a slow source answers. */
  #isOver = false;

  constructor(worker: Worker, options: WorkOptions) {
    this.#worker = worker;
    this.#options = options;
  }

  /** The worker has no job yet when opening fails. */
  async open(source: Pick<LayerSource, "open">): Promise<AsyncIterable<Buffer>> {
    return source.open().catch((error: unknown) => {
      this.isWorkerIdle = true;
      throw error;
    });
  }

  async run(job: WorkerJob, chunks: AsyncIterable<Buffer>): Promise<UnpackResult> {
    const outcome = this.#listen();
    // Its rejection is handled below, perhaps much later.
    outcome.promise.catch(() => {});
    const iterator = chunks[Symbol.asyncIterator]();
    const { signal } = this.#options;
    const onAbort = () => this.#send({ type: "cancel" });
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      this.#send({ type: "start", job });
      // A worker that fails ends the wait for a slow or stalled source.
      await Promise.race([this.#pump(iterator), outcome.promise]);
      return await outcome.promise;
    } catch (error) {
      this.#send({ type: "cancel" });
      await outcome.promise.catch(() => {});
      void iterator.return?.()?.catch(() => {});
      throw signal?.aborted ? signal.reason : error;
    } finally {
      this.#isOver = true;
      signal?.removeEventListener("abort", onAbort);
      outcome.stopListening();
    }
  }

  async #pump(iterator: AsyncIterator<Buffer>): Promise<void> {
    const countDropped = createBufferCollector();
    let filling = await this.#takeEmpty();
    let length = 0;
    for (;;) {
      const { done, value } = await iterator.next();
      if (this.#isOver) return;
      if (done) break;
      for (let rest: Buffer = value; rest.length > 0; ) {
        const taken = rest.subarray(0, filling.length - length);
        filling.set(taken, length);
        length += taken.length;
        rest = rest.subarray(taken.length);
        if (length < filling.length) continue;
        this.#send({ type: "chunk", bytes: filling, length }, [filling.buffer]);
        filling = await this.#takeEmpty();
        length = 0;
      }
      this.#bytesIn += value.length;
      countDropped(value.length);
    }
    if (length > 0) this.#send({ type: "chunk", bytes: filling, length }, [filling.buffer]);
    this.#send({ type: "end" });
  }

  async #takeEmpty(): Promise<Uint8Array<ArrayBuffer>> {
    for (;;) {
      const buffer = this.#empty.pop();
      if (buffer) return buffer;
      if (this.#buffers < UNPACK_BUFFERS) {
        this.#buffers++;
        return new Uint8Array(UNPACK_BUFFER_BYTES);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #send(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #listen(): { promise: Promise<UnpackResult>; stopListening(): void } {
    const worker = this.#worker;
    const { promise, resolve, reject } = Promise.withResolvers<UnpackResult>();
    const report = (bytesOut: number, files: number) =>
      this.#options.onProgress?.({ bytesIn: this.#bytesIn, bytesOut, files });
    const answer = async (question: RebuildQuestion) => {
      const reply = await this.#options.onAsk!(question);
      if (!this.#isOver) this.#send({ type: "answer", answer: reply });
    };
    const onMessage = (message: FromWorker) => {
      if (message.type === "ask") {
        answer(message.question).catch(reject);
        return;
      }
      if (message.type === "consumed") {
        this.#empty.push(message.bytes);
        this.#wake?.();
        report(message.bytesOut, message.files);
        return;
      }
      this.isWorkerIdle = true;
      if (message.type === "failed") reject(fromErrorRecord(message.error));
      else {
        this.isWorkerLarge = message.result.files > UNPACK_WORKER_KEEP_FILES;
        report(message.bytesOut, message.result.files);
        resolve(message.result);
      }
    };
    const onError = (error: unknown) => reject(createWorkerError(String(error), error));
    const onExit = (code: number) => reject(createWorkerError(`exit code ${code}`));
    worker.on("message", onMessage).on("error", onError).on("exit", onExit);
    return {
      promise,
      stopListening: () => worker.off("message", onMessage).off("error", onError).off("exit", onExit),
    };
  }
}

function createWorkerError(how: string, cause?: unknown): AgentError {
  return new AgentError("BUG_UNEXPECTED", `Cannot continue unpacking: the worker thread failed: ${how}`, {
    cause,
  });
}
