/**
 * The bytes of a layer or artifact on their way in: counts and hashes them, and compares both with the job.
 * It outlives a decompressor that fails, so that a damaged download can be told from a bad archive.
 */
import type { Hash } from "node:crypto";
import { AgentError } from "../../errors.ts";
import { createDigestHash, parseDigest } from "../../oci/digest.ts";
import type { UnpackJob, WorkerJob } from "./messages.ts";

/** For messages: a layer by its digest, an artifact by its destination. */
function describeJob(job: WorkerJob): string {
  if (isLayer(job)) return `layer ${job.digest ? `"${job.digest}"` : "without a digest"}`;
  return `the artifact for "${job.to}"`;
}

/** Only layers have a DiffID. */
function isLayer({ kind, diffId }: WorkerJob): boolean {
  return kind === "layer" || (kind !== "artifact" && diffId !== undefined);
}

export class VerifiedSource implements AsyncIterable<Buffer> {
  readonly #job: UnpackJob;
  readonly #iterator: AsyncIterator<Buffer>;
  readonly #hash: Hash | undefined;
  #bytesIn = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(job: UnpackJob, chunks: AsyncIterable<Buffer>) {
    this.#job = job;
    this.#iterator = chunks[Symbol.asyncIterator]();
    this.#hash = job.digest === undefined ? undefined : createDigestHash(parseKnownDigest(job.digest));
  }

  get bytesIn(): number {
    return this.#bytesIn;
  }

  /** Has no `return`: leaving a loop over the source must not end it. */
  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return { next: () => this.#next() };
  }

  /** Reads the rest. */
  async drain(): Promise<void> {
    while (!(await this.#next()).done);
  }

  /** To be called after the last byte. Throws …_SIZE_MISMATCH and …_DIGEST_MISMATCH. */
  verify(): void {
    const { digest, sizeBytes } = this.#job;
    if (sizeBytes !== undefined && this.#bytesIn !== sizeBytes)
      throw this.#createSizeError(`${this.#bytesIn}`);
    if (digest === undefined) return;
    const got = `${parseKnownDigest(digest).algorithm}:${this.#hash!.digest("hex")}`;
    if (got === digest) return;
    throw new AgentError(
      isLayer(this.#job) ? "LAYER_DIGEST_MISMATCH" : "ARTIFACT_DIGEST_MISMATCH",
      `Cannot use ${describeJob(this.#job)}: the digest of its bytes is "${got}"`,
      { context: { expected: digest, got, bytesIn: this.#bytesIn } },
    );
  }

  /** One call after the other: a decompressor that failed may still wait for a chunk. */
  #next(): Promise<IteratorResult<Buffer, undefined>> {
    const result = this.#last.then(() => this.#pull());
    this.#last = result.catch(() => {});
    return result;
  }

  async #pull(): Promise<IteratorResult<Buffer, undefined>> {
    const next = await this.#iterator.next();
    if (next.done) return { done: true, value: undefined };
    this.#bytesIn += next.value.length;
    // Not at the end only: a source that is too long may be endless.
    const { sizeBytes } = this.#job;
    if (sizeBytes !== undefined && this.#bytesIn > sizeBytes) throw this.#createSizeError("more");
    this.#hash?.update(next.value);
    return next;
  }

  #createSizeError(received: string): AgentError {
    return new AgentError(
      isLayer(this.#job) ? "LAYER_SIZE_MISMATCH" : "ARTIFACT_SIZE_MISMATCH",
      `Cannot use ${describeJob(this.#job)}: expected ${this.#job.sizeBytes} bytes, received ${received}`,
    );
  }
}

/** `got` is the digest of the uncompressed tar. */
export function createDiffIdError(job: WorkerJob, got: string): AgentError {
  return new AgentError(
    "LAYER_DIFFID_MISMATCH",
    `Cannot use ${describeJob(job)}: its uncompressed digest is "${got}", but the image config says "${job.diffId}"`,
    { context: { expected: job.diffId ?? "", got } },
  );
}

/** Of a digest that was validated when it was read: anything else is a bug. */
export function parseKnownDigest(text: string) {
  const digest = parseDigest(text);
  if (!digest) throw new TypeError(`"${text}" is not a digest`);
  return digest;
}
