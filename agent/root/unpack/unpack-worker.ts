/**
 * The worker thread that unpacks one archive at a time, fed by the main thread (pool.ts).
 * An entry point: bundled as unpack-worker.js beside main.js.
 */
import { parentPort } from "node:worker_threads";
import { rebuildArchive } from "../chunked/rebuild.ts";
import {
  type FromWorker,
  type RebuildAnswers,
  type RebuildQuestion,
  type ToWorker,
  toErrorRecord,
  type WorkerJob,
} from "./messages.ts";
import { type UnpackCounts, unpackArchive } from "./unpack-archive.ts";

const port = parentPort;
if (!port) throw new Error("unpack-worker must run as a worker thread");

type Chunk = Extract<ToWorker, { type: "chunk" }>;

/** The chunks of one archive as they arrive; requesting the next one returns the buffer of the previous one. */
class Inbox implements AsyncIterable<Buffer> {
  readonly counts: UnpackCounts = { bytesOut: 0, files: 0 };
  readonly #waiting: Chunk[] = [];
  #inUse: Chunk | undefined;
  #wake: (() => void) | undefined;
  #resolveAnswer: ((answer: never) => void) | undefined;
  #rejectAnswer: ((error: Error) => void) | undefined;
  #state: "open" | "ended" | "cancelled" = "open";

  get isCancelled(): boolean {
    return this.#state === "cancelled";
  }

  accept(message: Exclude<ToWorker, { type: "start" | "leave" }>): void {
    if (message.type === "answer") this.#resolveAnswer?.(message.answer as never);
    else if (message.type === "chunk") this.#waiting.push(message);
    else this.#state = message.type === "end" ? "ended" : "cancelled";
    this.#wake?.();
    if (this.isCancelled) this.#rejectAnswer?.(createCancelError());
  }

  /** Resolves with the main thread's answer; one question at a time. */
  ask<Kind extends RebuildQuestion["kind"]>(
    question: RebuildQuestion & { kind: Kind },
  ): Promise<RebuildAnswers[Kind]> {
    send({ type: "ask", question });
    return new Promise((resolve, reject) => {
      this.#resolveAnswer = resolve;
      this.#rejectAnswer = reject;
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return { next: () => this.#next() };
  }

  async #next(): Promise<IteratorResult<Buffer>> {
    this.#returnBuffer();
    while (this.#waiting.length === 0 && this.#state === "open") {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.isCancelled) throw createCancelError();
    this.#inUse = this.#waiting.shift();
    if (!this.#inUse) return { done: true, value: undefined };
    const { bytes, length } = this.#inUse;
    return { done: false, value: Buffer.from(bytes.buffer, 0, length) };
  }

  #returnBuffer(): void {
    if (!this.#inUse) return;
    const { bytes } = this.#inUse;
    this.#inUse = undefined;
    send({ type: "consumed", bytes, ...this.counts }, [bytes.buffer]);
  }
}

function createCancelError(): Error {
  return new Error("The main thread cancelled this archive");
}

function send(message: FromWorker, transfer: ArrayBuffer[] = []): void {
  port!.postMessage(message, transfer);
}

let inbox = new Inbox();

port.on("message", (message: ToWorker) => {
  if (message.type === "leave") process.exit();
  else if (message.type !== "start") inbox.accept(message);
  else {
    inbox = new Inbox();
    void unpack(message.job, inbox);
  }
});

async function unpack(job: WorkerJob, chunks: Inbox): Promise<void> {
  try {
    const result =
      job.kind === "parts"
        ? await rebuildArchive(job, chunks)
        : await unpackArchive(job, chunks, chunks.counts);
    const { tree } = result.collected ?? {};
    send(
      { type: "done", result, bytesOut: chunks.counts.bytesOut },
      tree ? [tree.buffer as ArrayBuffer] : [],
    );
  } catch (error) {
    send({ type: "failed", error: toErrorRecord(error) });
  } finally {
    // A decompressor that failed may still wait for a chunk.
    chunks.accept({ type: "cancel" });
  }
}
