/**
 * The whole way of an archive: checked, decompressed, checked again, read as tar and written below a directory, as it streams.
 * Memory is a few buffers, whatever the size. Runs in a worker thread (unpack-worker.ts), as every step is synchronous work.
 */
import { closeSync, openSync } from "node:fs";
import { checkRatio, decompress } from "../archive/decompress.ts";
import { COMPRESSION_MAGIC_BYTES, detectCompression } from "../archive/detect-compression.ts";
import { createTarReader } from "../archive/tar-reader.ts";
import { AgentError } from "../errors.ts";
import { O_DIRECTORY } from "../kernel/syscalls.ts";
import { createDigestHash } from "../oci/digest.ts";
import { type CheckedSource, createCheckedSource, nameOfJob, readDigest } from "./checked-source.ts";
import { splitMemberPath } from "./member-path.ts";
import { TreeWriter } from "./tree-writer.ts";
import type { UnpackJob, UnpackResult } from "./unpack-job.ts";
import { decompressXz } from "./xz-process.ts";

/** Totals so far, of the uncompressed tar. */
export interface UnpackCounts {
  bytesOut: number;
  files: number;
}

/** `counts` is kept up to date. What was written before an error stays; the caller throws it away. */
export async function unpackArchive(
  job: UnpackJob,
  chunks: AsyncIterable<Buffer>,
  counts: UnpackCounts,
): Promise<UnpackResult> {
  const to = splitMemberPath(job.to);
  const rootFd = openSync(job.rootPath, O_DIRECTORY);
  const writer = new TreeWriter(rootFd, { kind: job.kind, to });
  try {
    const source = createCheckedSource(job, chunks);
    const diffId = await unpackStream(job, source, writer, counts).catch((error: unknown) =>
      blameDownloadFirst(error, source),
    );
    await source.drain();
    source.verify();
    verifyDiffId(job, diffId);
    return writer.finish();
  } finally {
    writer.close();
    closeSync(rootFd);
  }
}

/** Gives the digest of the uncompressed tar where one is expected. */
async function unpackStream(
  job: UnpackJob,
  source: CheckedSource,
  writer: TreeWriter,
  counts: UnpackCounts,
): Promise<string | undefined> {
  const expected = job.diffId === undefined ? undefined : readDigest(job.diffId);
  const hash = expected && createDigestHash(expected);
  const reader = createTarReader(writer);
  for await (const chunk of await openTar(source)) {
    hash?.update(chunk);
    counts.bytesOut += chunk.length;
    checkRatio(source.bytesIn, counts.bytesOut);
    reader.write(chunk);
    counts.files = writer.files;
  }
  reader.end();
  return expected && `${expected.algorithm}:${hash!.digest("hex")}`;
}

async function openTar(source: CheckedSource): Promise<AsyncIterable<Buffer>> {
  const iterator = source[Symbol.asyncIterator]();
  let first: Buffer = Buffer.alloc(0);
  while (first.length < COMPRESSION_MAGIC_BYTES) {
    const next = await iterator.next();
    if (next.done) break;
    // A chunk is only good until the next one; nearly always one is enough and is not copied.
    first = first.length === 0 ? next.value : Buffer.concat([first, next.value]);
    if (first.length < COMPRESSION_MAGIC_BYTES) first = Buffer.from(first);
  }
  const kind = detectCompression(first);
  const whole = startWith(first, source);
  return kind === "xz" ? decompressXz(whole) : decompress(kind, whole);
}

async function* startWith(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}

const MAY_BE_DAMAGE: readonly string[] = ["ARCHIVE_CORRUPT", "ARCHIVE_TRUNCATED", "ARCHIVE_UNKNOWN_FORMAT"];

/** An archive that cannot be read may be a download that went wrong, which is for others to repair: the digest tells. */
async function blameDownloadFirst(error: unknown, source: CheckedSource): Promise<never> {
  if (error instanceof AgentError && MAY_BE_DAMAGE.includes(error.code)) {
    await source.drain();
    source.verify();
  }
  throw error;
}

function verifyDiffId(job: UnpackJob, got: string | undefined): void {
  if (got === job.diffId) return;
  throw new AgentError(
    "LAYER_DIFFID_MISMATCH",
    `Cannot take ${nameOfJob(job)}: uncompressed it has the digest "${got}", the image's config says "${job.diffId}"`,
    { context: { expected: job.diffId!, got: got! } },
  );
}
