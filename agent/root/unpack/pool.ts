/**
 * Worker threads that unpack archives, one each, so that the main thread stays free for network, log and watchdog.
 * A stream owns a few buffers that go to its worker and come back: when all are away, the source waits.
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

export interface TakeOptions extends UnpackOptions {
  /** Told of the archive's tree, first perhaps before it is proven, in the form of composefs/layer-tree.ts. */
  onTree?: (tree: Uint8Array) => void;
}

export interface WorkOptions extends TakeOptions {
  /** Answers what the job asks for while it is done. */
  onAsk?: (question: RebuildQuestion) => Promise<RebuildAnswer>;
}

export interface UnpackPool {
  /** Waits for a free worker, then opens the source and unpacks it. Throws what the source throws, and AgentErrors. */
  unpack(job: WorkerJob, source: Pick<LayerSource, "open">, options?: WorkOptions): Promise<UnpackResult>;
  /** Starts a worker unless one waits: there will be work, but something has to be asked over the network first. */
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

  const giveBack = (worker: Worker): void => {
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
      if (free > 0 && idle.size === 0) giveBack(startWorker());
    },

    async unpack(job, source, options = {}) {
      await waitForTurn();
      try {
        options.signal?.throwIfAborted();
        // A thread that has to be started loads its code while the source is opened.
        const worker = takeWorker();
        const exchange = new Exchange(worker, options);
        try {
          return await exchange.run(job, await exchange.open(source));
        } finally {
          if (exchange.isWorkerSound && !exchange.isWorkerLarge) giveBack(worker);
          else dismiss(worker);
        }
      } finally {
        endTurn();
      }
    },
  };
}

/**
 * A worker is asked to go and never terminated: native code that is stopped between two lines of JavaScript (zstd-napi, also while it
 * is loaded) throws what nobody can catch, and takes the whole agent along.
 */
function dismiss(worker: Worker): void {
  worker.unref();
  worker.postMessage({ type: "leave" } satisfies ToWorker);
}

/** In the source tree Node runs the .ts file; in the initrd the bundle lies beside main.js. */
function startWorker(): Worker {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  // Node would warn of every descriptor that it did not open itself.
  return new Worker(new URL(`./unpack-worker.${extension}`, import.meta.url), { trackUnmanagedFds: false });
}

/** One archive's talk with its worker. */
class Exchange {
  /** False while a job may still run in it. */
  isWorkerSound = false;
  /** What it holds of a large archive's tree is better given back to the machine than kept for another one. */
  isWorkerLarge = false;
  readonly #worker: Worker;
  readonly #options: WorkOptions;
  readonly #empty: Uint8Array<ArrayBuffer>[] = [];
  #buffers = 0;
  #wake: (() => void) | undefined;
  #bytesIn = 0;
  /** The worker may have another archive by the time a slow source answers. */
  #isOver = false;

  constructor(worker: Worker, options: WorkOptions) {
    this.#worker = worker;
    this.#options = options;
  }

  /** The worker knows nothing yet of a source that does not open. */
  async open(source: Pick<LayerSource, "open">): Promise<AsyncIterable<Buffer>> {
    return source.open().catch((error: unknown) => {
      this.isWorkerSound = true;
      throw error;
    });
  }

  async run(job: WorkerJob, chunks: AsyncIterable<Buffer>): Promise<UnpackResult> {
    const outcome = this.#listen();
    // Its rejection is taken below, perhaps much later.
    outcome.promise.catch(() => {});
    const iterator = chunks[Symbol.asyncIterator]();
    const { signal } = this.#options;
    const onAbort = () => this.#send({ type: "cancel" });
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      this.#send({ type: "start", job });
      // A worker that fails early ends the wait for a source that may be slow or silent.
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
    const noteDropped = createBufferCollector();
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
      noteDropped(value.length);
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
      if (message.type === "tree") {
        this.#options.onTree?.(message.tree);
        return;
      }
      if (message.type === "consumed") {
        this.#empty.push(message.bytes);
        this.#wake?.();
        report(message.bytesOut, message.files);
        return;
      }
      this.isWorkerSound = true;
      if (message.type === "failed") reject(fromErrorRecord(message.error));
      else {
        this.isWorkerLarge = message.result.files > UNPACK_WORKER_KEEP_FILES;
        report(message.bytesOut, message.result.files);
        resolve(message.result);
      }
    };
    const onError = (error: unknown) => reject(workerDied(String(error), error));
    const onExit = (code: number) => reject(workerDied(`it ended with code ${code}`));
    worker.on("message", onMessage).on("error", onError).on("exit", onExit);
    return {
      promise,
      stopListening: () => worker.off("message", onMessage).off("error", onError).off("exit", onExit),
    };
  }
}

function workerDied(how: string, cause?: unknown): AgentError {
  return new AgentError("BUG_UNEXPECTED", `Cannot go on unpacking: the worker thread died: ${how}`, {
    cause,
  });
}
