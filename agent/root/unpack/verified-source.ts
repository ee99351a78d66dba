/**
 * The bytes of a layer or artifact on their way in: counted, hashed, and held against what was promised of them.
 * It outlives a decompressor that gives up, so that a damaged download can be told from a bad archive.
 */
import { AgentError } from "../../errors.ts";
import { createDigestHash, parseDigest } from "../../oci/digest.ts";
import type { UnpackJob, WorkerJob } from "./messages.ts";

/** For messages: a layer by its digest, an artifact by its place. */
function nameOfJob(job: WorkerJob): string {
  const { kind, digest, diffId, to } = job;
  if (isLayer({ kind, diffId })) return `layer ${digest ? `"${digest}"` : "without a digest"}`;
  return `the artifact for "${to}"`;
}

/** Of what ends as objects only layers come with a DiffID. */
function isLayer({ kind, diffId }: { kind: WorkerJob["kind"]; diffId?: string | undefined }): boolean {
  return kind === "layer" || (kind !== "artifact" && diffId !== undefined);
}

export interface VerifiedSource extends AsyncIterable<Buffer> {
  readonly bytesIn: number;
  /** Reads what is left. */
  drain(): Promise<void>;
  /** To be called after the last byte. Throws …_SIZE_MISMATCH and …_DIGEST_MISMATCH. */
  verify(): void;
}

export function createCheckedSource(job: UnpackJob, chunks: AsyncIterable<Buffer>): VerifiedSource {
  const expected = job.digest === undefined ? undefined : readDigest(job.digest);
  const hash = expected && createDigestHash(expected);
  const codes = isLayer(job)
    ? ({ size: "LAYER_SIZE_MISMATCH", digest: "LAYER_DIGEST_MISMATCH" } as const)
    : ({ size: "ARTIFACT_SIZE_MISMATCH", digest: "ARTIFACT_DIGEST_MISMATCH" } as const);
  const iterator = chunks[Symbol.asyncIterator]();
  let bytesIn = 0;

  const refuseSize = (how: string) =>
    new AgentError(codes.size, `Cannot take ${nameOfJob(job)}: ${how} than ${job.sizeBytes} bytes came`);

  const pull = async (): Promise<IteratorResult<Buffer, undefined>> => {
    const next = await iterator.next();
    if (next.done) return { done: true, value: undefined };
    bytesIn += next.value.length;
    // At once: what is too long may be endless.
    if (job.sizeBytes !== undefined && bytesIn > job.sizeBytes) throw refuseSize("more");
    hash?.update(next.value);
    return next;
  };

  // One after the other, whoever asks: a decompressor that has given up may still wait for its next chunk.
  let last: Promise<unknown> = Promise.resolve();
  const next = () => {
    const result = last.then(pull);
    last = result.catch(() => {});
    return result;
  };

  return {
    get bytesIn() {
      return bytesIn;
    },
    // No `return`: leaving a loop over it must not end it.
    [Symbol.asyncIterator]: () => ({ next }),
    async drain() {
      while (!(await next()).done);
    },
    verify() {
      if (job.sizeBytes !== undefined && bytesIn !== job.sizeBytes)
        throw refuseSize(`${bytesIn} and not more`);
      const got = expected && `${expected.algorithm}:${hash!.digest("hex")}`;
      if (got === job.digest) return;
      throw new AgentError(
        codes.digest,
        `Cannot take ${nameOfJob(job)}: its bytes have the digest "${got}"`,
        {
          context: { expected: job.digest!, got: got!, bytesIn },
        },
      );
    },
  };
}

/** `got` is the digest of the tar that came out. */
export function refuseDiffId(job: WorkerJob, got: string): AgentError {
  return new AgentError(
    "LAYER_DIFFID_MISMATCH",
    `Cannot take ${nameOfJob(job)}: uncompressed it has the digest "${got}", the image's config says "${job.diffId}"`,
    { context: { expected: job.diffId ?? "", got } },
  );
}

/** Digests were checked where they were read; another one here is a bug of ours. */
export function readDigest(text: string) {
  const digest = parseDigest(text);
  if (!digest) throw new TypeError(`"${text}" is no digest`);
  return digest;
}
