/**
 * The whole way of an archive: checked, decompressed, checked again, read as tar and written below a directory, as it streams.
 * Memory is a few buffers, whatever the size. Runs in a worker thread (unpack-worker.ts), as every step is synchronous work;
 * digests of what comes out, and objects, are the work of lanes beside it (agent/kernel/hash-threads.ts).
 */
import { closeSync, openSync } from "node:fs";
import {
  COMPRESSION_MAGIC_BYTES,
  checkRatio,
  decompress,
  detectCompression,
} from "../../archive/decompress.ts";
import { createTarReader, type TarVisitor } from "../../archive/tar-reader.ts";
import { AgentError } from "../../errors.ts";
import { O_DIRECTORY } from "../../kernel/syscalls.ts";
import { splitMemberPath } from "../write/member-path.ts";
import { TreeWriter } from "../write/tree-writer.ts";
import { ChunkRing } from "./buffer-ring.ts";
import { createBufferCollector, freeRead } from "./force-gc.ts";
import type { UnpackJob, UnpackResult } from "./messages.ts";
import { ObjectCollector } from "./object-collector.ts";
import { createTarDigest } from "./tar-digest.ts";
import { createCheckedSource, readDigest, refuseDiffId, type VerifiedSource } from "./verified-source.ts";
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
  if (job.kind === "objects") {
    const collector = new ObjectCollector(job.rootPath, { takesSha256: job.indexesFiles ?? false });
    try {
      const diffId = await readArchive(job, chunks, collector, counts);
      return collector.finish(diffId!);
    } finally {
      collector.close();
    }
  }
  const to = splitMemberPath(job.to);
  const rootFd = openSync(job.rootPath, O_DIRECTORY);
  const writer = new TreeWriter(rootFd, { kind: job.kind, to });
  try {
    await readArchive(job, chunks, writer, counts);
    return writer.finish();
  } finally {
    writer.close();
    closeSync(rootFd);
  }
}

/** What takes an archive's members and counts them. */
type Taker = TarVisitor & { readonly files: number; startChunk?(chunk: Buffer): void; endChunk?(): void };

/** Reads all of it and checks all that was promised; gives the digest of the tar where it was asked for. */
async function readArchive(
  job: UnpackJob,
  chunks: AsyncIterable<Buffer>,
  taker: Taker,
  counts: UnpackCounts,
): Promise<string | undefined> {
  const source = createCheckedSource(job, chunks);
  const diffId = await unpackStream(job, source, taker, counts).catch((error: unknown) =>
    blameDownloadFirst(error, source),
  );
  await source.drain();
  source.verify();
  if (job.diffId !== undefined && diffId !== job.diffId) throw refuseDiffId(job, diffId!);
  return diffId;
}

/** Gives the digest of the uncompressed tar where one is expected, and of objects, whose tree is named by it. */
async function unpackStream(
  job: UnpackJob,
  source: VerifiedSource,
  taker: Taker,
  counts: UnpackCounts,
): Promise<string | undefined> {
  const isWanted = job.diffId !== undefined || job.kind === "objects";
  const algorithm = job.diffId === undefined ? "sha256" : readDigest(job.diffId).algorithm;
  const digest = isWanted ? createTarDigest(algorithm) : undefined;
  try {
    const reader = createTarReader(taker);
    // Of gzip and xz each chunk is a buffer of its own.
    const noteDropped = createBufferCollector();
    for await (const chunk of await openTar(source)) {
      digest?.update(chunk);
      counts.bytesOut += chunk.length;
      checkRatio(source.bytesIn, counts.bytesOut);
      taker.startChunk?.(chunk);
      reader.write(chunk);
      taker.endChunk?.();
      counts.files = taker.files;
      noteDropped(chunk.length);
    }
    reader.end();
    return digest?.finish();
  } finally {
    digest?.close();
  }
}

/** Chunks stay as they are for as long as lanes may read them. */
async function openTar(source: VerifiedSource): Promise<AsyncIterable<Buffer>> {
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
  const ring = new ChunkRing();
  if (kind === "none") return ring.copy(whole);
  if (kind === "xz") return decompressXz(whole);
  const tar = decompress(kind, whole, { takeOutput: () => ring.take() });
  return kind === "gzip" ? freeRead(tar) : tar;
}

async function* startWith(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}

const MAY_BE_DAMAGE: readonly string[] = ["ARCHIVE_CORRUPT", "ARCHIVE_TRUNCATED", "ARCHIVE_UNKNOWN_FORMAT"];

/** An archive that cannot be read may be a download that went wrong, which is for others to repair: the digest tells. */
async function blameDownloadFirst(error: unknown, source: VerifiedSource): Promise<never> {
  if (error instanceof AgentError && MAY_BE_DAMAGE.includes(error.code)) {
    await source.drain();
    source.verify();
  }
  throw error;
}
