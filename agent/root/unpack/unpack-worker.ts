/**
 * The worker thread's side of unpacking: one archive at a time, fed by the main thread (unpack-pool.ts).
 * An entry point of its own: bundled as unpack-worker.js beside main.js.
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
if (!port) throw new Error("unpack-worker runs as a worker thread only");

type Chunk = Extract<ToWorker, { type: "chunk" }>;

/** The chunks of one archive as they arrive; asking for the next one gives the last one's buffer back. */
class Inbox implements AsyncIterable<Buffer> {
  readonly counts: UnpackCounts = { bytesOut: 0, files: 0 };
  readonly #waiting: Chunk[] = [];
  #inUse: Chunk | undefined;
  #wake: (() => void) | undefined;
  #takeAnswer: ((answer: never) => void) | undefined;
  #refuseAnswer: ((error: Error) => void) | undefined;
  #state: "open" | "ended" | "cancelled" = "open";

  get isCancelled(): boolean {
    return this.#state === "cancelled";
  }

  accept(message: Exclude<ToWorker, { type: "start" | "leave" }>): void {
    if (message.type === "answer") this.#takeAnswer?.(message.answer as never);
    else if (message.type === "chunk") this.#waiting.push(message);
    else this.#state = message.type === "end" ? "ended" : "cancelled";
    this.#wake?.();
    if (this.isCancelled) this.#refuseAnswer?.(givenUp());
  }

  /** The main thread's answer; one question at a time. */
  ask<Kind extends RebuildQuestion["kind"]>(
    question: RebuildQuestion & { kind: Kind },
  ): Promise<RebuildAnswers[Kind]> {
    send({ type: "ask", question });
    return new Promise((resolve, reject) => {
      this.#takeAnswer = resolve;
      this.#refuseAnswer = reject;
    });
  }

  foretell(tree: Uint8Array): void {
    const copy = new Uint8Array(tree);
    send({ type: "tree", tree: copy }, [copy.buffer]);
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return { next: () => this.#next() };
  }

  async #next(): Promise<IteratorResult<Buffer>> {
    this.#giveBack();
    while (this.#waiting.length === 0 && this.#state === "open") {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.isCancelled) throw givenUp();
    this.#inUse = this.#waiting.shift();
    if (!this.#inUse) return { done: true, value: undefined };
    const { bytes, length } = this.#inUse;
    return { done: false, value: Buffer.from(bytes.buffer, 0, length) };
  }

  #giveBack(): void {
    if (!this.#inUse) return;
    const { bytes } = this.#inUse;
    this.#inUse = undefined;
    send({ type: "consumed", bytes, ...this.counts }, [bytes.buffer]);
  }
}

function givenUp(): Error {
  return new Error("The main thread gave this archive up");
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
    // A decompressor that was left in the middle may still wait for a chunk.
    chunks.accept({ type: "cancel" });
  }
}
