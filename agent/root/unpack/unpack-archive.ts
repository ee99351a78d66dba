/**
 * Unpacks an archive as it streams: verifies, decompresses and verifies it again, reads the tar and writes its members.
 * Uses a few buffers of memory for any size. Runs in a worker thread (unpack-worker.ts), as every step is synchronous work;
 * hash threads beside it (agent/kernel/hash-threads.ts) take digests and write objects.
 */
import { closeSync, openSync } from "node:fs";
import {
  COMPRESSION_MAGIC_BYTES,
  checkRatio,
  decompress,
  detectCompression,
} from "../../archive/decompress.ts";
import { splitMemberPath } from "../../archive/member-path.ts";
import { TarReader, type TarVisitor } from "../../archive/tar-reader.ts";
import { AgentError } from "../../errors.ts";
import { O_DIRECTORY } from "../../kernel/syscalls.ts";
import { TreeWriter } from "../write/tree-writer.ts";
import { createBufferCollector, freeRead } from "./force-gc.ts";
import type { UnpackJob, UnpackResult } from "./messages.ts";
import { ObjectCollector } from "./object-collector.ts";
import { BufferRing, createTarDigest } from "./tar-digest.ts";
import { createDiffIdError, parseKnownDigest, VerifiedSource } from "./verified-source.ts";
import { decompressXz } from "./xz-process.ts";

/** Totals so far, of the uncompressed tar. */
export interface UnpackCounts {
  bytesOut: number;
  files: number;
}

/** Updates `counts` as it goes. After an error the caller deletes what was written. */
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
    writer.start();
    await readArchive(job, chunks, writer, counts);
    return writer.finish();
  } finally {
    writer.close();
    closeSync(rootFd);
  }
}

type MemberVisitor = TarVisitor & {
  readonly files: number;
  startChunk?(chunk: Buffer): void;
  endChunk?(): void;
};

/** Verifies size, digest and DiffID. Returns the digest of the tar if the job needs it. */
async function readArchive(
  job: UnpackJob,
  chunks: AsyncIterable<Buffer>,
  visitor: MemberVisitor,
  counts: UnpackCounts,
): Promise<string | undefined> {
  const source = new VerifiedSource(job, chunks);
  const diffId = await unpackStream(job, source, visitor, counts).catch((error: unknown) =>
    verifyBeforeBlaming(error, source),
  );
  await source.drain();
  source.verify();
  if (job.diffId !== undefined && diffId !== job.diffId) throw createDiffIdError(job, diffId!);
  return diffId;
}

async function unpackStream(
  job: UnpackJob,
  source: VerifiedSource,
  visitor: MemberVisitor,
  counts: UnpackCounts,
): Promise<string | undefined> {
  // The tree of an archive's objects is named by the digest of the tar.
  const isWanted = job.diffId !== undefined || job.kind === "objects";
  const algorithm = job.diffId === undefined ? "sha256" : parseKnownDigest(job.diffId).algorithm;
  const digest = isWanted ? createTarDigest(algorithm) : undefined;
  try {
    const checkHoles = (holeBytes: number) => checkRatio(source.bytesIn, counts.bytesOut + holeBytes);
    const reader = new TarReader(visitor, { checkHoles });
    // gzip and xz allocate a buffer for each chunk.
    const countDropped = createBufferCollector();
    for await (const chunk of await openTar(source)) {
      digest?.update(chunk);
      counts.bytesOut += chunk.length;
      checkRatio(source.bytesIn, counts.bytesOut);
      visitor.startChunk?.(chunk);
      reader.write(chunk);
      visitor.endChunk?.();
      counts.files = visitor.files;
      countDropped(chunk.length);
    }
    reader.end();
    return digest?.finish();
  } finally {
    digest?.close();
  }
}

/** Chunks stay unchanged as long as hash threads may read them. */
async function openTar(source: VerifiedSource): Promise<AsyncIterable<Buffer>> {
  const iterator = source[Symbol.asyncIterator]();
  let first: Buffer = Buffer.alloc(0);
  while (first.length < COMPRESSION_MAGIC_BYTES) {
    const next = await iterator.next();
    if (next.done) break;
    // A chunk is valid until the next one. Nearly always one is enough and not copied.
    first = first.length === 0 ? next.value : Buffer.concat([first, next.value]);
    if (first.length < COMPRESSION_MAGIC_BYTES) first = Buffer.from(first);
  }
  const kind = detectCompression(first);
  const chunks = prepend(first, source);
  const ring = new BufferRing();
  if (kind === "none") return ring.copy(chunks);
  if (kind === "xz") return decompressXz(chunks);
  const tar = decompress(kind, chunks, { takeOutput: () => ring.take() });
  return kind === "gzip" ? freeRead(tar) : tar;
}

async function* prepend(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}

const MAY_BE_DOWNLOAD_DAMAGE: readonly string[] = [
  "ARCHIVE_CORRUPT",
  "ARCHIVE_TRUNCATED",
  "ARCHIVE_UNKNOWN_FORMAT",
];

/** An unreadable archive may be a damaged download, which someone else has to repair: the digest tells which. */
async function verifyBeforeBlaming(error: unknown, source: VerifiedSource): Promise<never> {
  if (error instanceof AgentError && MAY_BE_DOWNLOAD_DAMAGE.includes(error.code)) {
    await source.drain();
    source.verify();
  }
  throw error;
}
