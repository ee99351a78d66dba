/**
 * Pulls a zstd:chunked layer or archive partially: content that is stored is not fetched (docs/architecture.md, "Partial pulls").
 * Falls back to a full download where a digest covers it, and logs the reason.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { RangePiece } from "../../archive/byte-range.ts";
import {
  DIGEST_BYTES,
  isNoDigest,
  listDigests,
  NO_DIGEST,
  readDigest,
  tabulateDigests,
} from "../../archive/digests.ts";
import type { ObjectRepository } from "../../composefs/object-repository.ts";
import { AgentError, type ErrorCode } from "../../errors.ts";
import { formatCount, formatMegabytes } from "../../text.ts";
import type { LayerSource, PartSource, UnpackOptions } from "../root-driver.ts";
import { collectAfter } from "../unpack/force-gc.ts";
import type { KnownFiles, RebuildPlan, RebuildQuestion, UnpackResult } from "../unpack/messages.ts";
import type { UnpackPool } from "../unpack/pool.ts";
import { frameRanges } from "./range-framing.ts";
import { type ChunkedTables, fetchTables, isChunked, keepTables, listOtherTables } from "./tables.ts";

export interface ChunkedPullTools {
  store: ObjectRepository;
  pool: UnpackPool;
  log: { info(line: string): void; warn(line: string): void };
}

type ChunkedSource = LayerSource & { parts: PartSource };

/** Stages objects below `rootPath`; undefined when the source needs a full download. */
export async function pullPartially(
  source: LayerSource,
  rootPath: string,
  tools: ChunkedPullTools,
  options: UnpackOptions,
): Promise<UnpackResult | undefined> {
  if (!hasParts(source)) return undefined;
  const { log, store } = tools;
  const name = nameSource(source);
  for (let attempt = 1; ; attempt++) {
    const used: Buffer[] = [];
    try {
      const obstacle = findObstacle(source, store);
      if (obstacle === undefined) {
        const stagingDir = join(rootPath, `attempt-${attempt}`);
        mkdirSync(stagingDir);
        return await pullOnce(source, { ...tools, stagingDir, name, used }, options);
      }
      if (isTableBound(source)) throw createFullDownloadError(obstacle);
      if (obstacle !== "") log.info(`${name}: full download: ${obstacle}`);
      return undefined;
    } catch (error) {
      if (options.signal?.aborted || !(error instanceof AgentError)) throw error;
      // A damaged object may be the cause: drop it and fetch it at the second try.
      const { lost } = MAY_BE_STORED_DAMAGE.has(error.code)
        ? await store.check(listUsed(used))
        : { lost: [] };
      if (lost.length > 0) log.warn(`store: dropped ${lost.length} damaged objects`);
      if (lost.length > 0 && attempt === 1) continue;
      if (isTableBound(source) || !MAY_FALL_BACK.test(error.code)) throw error;
      log.warn(`${name}: full download: ${error.message} (${error.code})`);
      return undefined;
    }
  }
}

const MAY_BE_STORED_DAMAGE: ReadonlySet<ErrorCode> = new Set([
  "STORE_OBJECT_CORRUPT",
  "LAYER_DIFFID_MISMATCH",
  "CHUNKED_BAD_TOC",
]);
/** Errors that a full download may avoid: its own digests cover it. */
const MAY_FALL_BACK =
  /^(CHUNKED_|ARCHIVE_|MULTIPART_|STORE_OBJECT_CORRUPT|LAYER_DIFFID_MISMATCH|FETCH_(NO|TOO_MANY)_RANGES|FETCH_WRONG_RANGE)/;

function hasParts(source: LayerSource): source is ChunkedSource {
  return source.parts !== undefined;
}

/** Only the TOC has a digest: a full download could not be verified. */
function isTableBound({ digest, diffId, parts }: ChunkedSource): boolean {
  return parts.tableDigest !== undefined && digest === undefined && diffId === undefined;
}

/** Why a partial pull is not possible; the empty string where none is expected. */
function findObstacle(source: ChunkedSource, store: ObjectRepository): string | undefined {
  const { digest, diffId, parts } = source;
  const isLayer = parts.annotations !== undefined;
  if (isLayer && !isChunked(parts)) return "";
  if (isLayer && !diffId?.startsWith("sha256:")) return "there is no sha256 DiffID to check a partial pull";
  // A digest of the whole archive cannot check parts of it.
  if (!isLayer && digest !== undefined && parts.tableDigest === undefined) return "";
  if (store.isEmpty && !isTableBound(source)) return isLayer ? "the store is empty" : "";
  return undefined;
}

interface PullTools extends ChunkedPullTools {
  stagingDir: string;
  name: string;
  /** Digests of stored objects that the worker may read, appended by each answer. */
  used: Buffer[];
}

async function pullOnce(
  source: ChunkedSource,
  tools: PullTools,
  options: UnpackOptions,
): Promise<UnpackResult | undefined> {
  const { store, pool, log, name } = tools;
  const tables = await fetchTables(source, store, options);
  if ("reason" in tables) {
    if (isTableBound(source)) throw createFullDownloadError(tables.reason);
    log.info(`${name}: full download: ${tables.reason}`);
    return undefined;
  }
  const stream = Promise.withResolvers<AsyncIterable<Buffer>>();
  // After the worker got its job, and while it reads the TOC.
  const indexing = nextTurn().then(() => indexStore(tools));
  // A rejection is reported when the worker asks.
  indexing.catch(() => {});
  const onAsk = async (question: RebuildQuestion) => {
    if (question.kind === "have") {
      await indexing;
      return lookUp(question.digests, store, tools.used);
    }
    if (question.kind === "tables") return listOtherTables(store, tables);
    log.info(`${name}: ${describePlan(question.plan, tables)}`);
    collectAfter(question.plan.files);
    stream.resolve(openRanges(question.plan, tables, source, options));
    return undefined;
  };
  const { diffId, digest } = source;
  const job = {
    kind: "parts",
    to: "/",
    rootPath: tools.stagingDir,
    objectsDir: store.objectsDir,
    blobBytes: tables.blobBytes,
    dataEnd: tables.dataEnd,
    spentBytes: tables.spentBytes,
    isTableBound: isTableBound(source),
    toc: tables.toc,
    tarSplit: tables.tarSplit,
    diffId,
    digest,
  } as const;
  const { signal } = options;
  const open = async () => deferStream(stream.promise);
  const result = await pool.unpack(job, { open }, { onAsk, signal });
  if (!result.collected) return undefined;
  keepTables(store, tables);
  return result;
}

/** Makes files of full downloads findable by their sha256. */
async function indexStore({ store, log }: PullTools): Promise<void> {
  const { files, bytes } = await store.indexFiles();
  if (files === 0) return;
  log.info(`store: indexed ${formatCount(files)} files (${formatMegabytes(bytes)} MB) of full downloads`);
}

function lookUp(digests: Uint8Array<ArrayBuffer>, store: ObjectRepository, used: Buffer[]): KnownFiles {
  const asked = Buffer.from(digests.buffer, digests.byteOffset, digests.length);
  // Shared with the worker.
  const verities = Buffer.from(new SharedArrayBuffer(asked.length));
  store.findBySha256(asked).copy(verities);
  used.push(verities);
  collectAfter(asked.length / DIGEST_BYTES);
  const smalls: KnownFiles["smalls"] = [];
  for (let number = 0; number * DIGEST_BYTES < asked.length; number++) {
    if (!isNoDigest(verities, number)) continue;
    const small = store.findInlineContent(readDigest(asked, number));
    if (small) smalls.push([number, small]);
  }
  return { verities, smalls };
}

function listUsed(answers: readonly Buffer[]): string[] {
  return [...listDigests(tabulateDigests(Buffer.concat(answers)).bytes)].filter(
    (verity) => verity !== NO_DIGEST,
  );
}

async function* deferStream(chunks: Promise<AsyncIterable<Buffer>>): AsyncGenerator<Buffer> {
  yield* await chunks;
}

function openRanges(
  { choice, ranges, rangeBytes }: RebuildPlan,
  { blobBytes, spentBytes }: ChunkedTables,
  { parts }: ChunkedSource,
  { signal, onProgress, onReuse }: UnpackOptions,
): AsyncIterable<Buffer> {
  let bytesIn = spentBytes;
  async function* count(pieces: AsyncIterable<RangePiece>): AsyncGenerator<RangePiece> {
    for await (const piece of pieces) {
      bytesIn += piece.bytes.length;
      onProgress?.({ bytesIn, bytesOut: 0, files: 0 });
      yield piece;
    }
  }
  async function* nothing(): AsyncGenerator<Buffer> {}
  if (choice === "whole") return nothing();
  onReuse?.(Math.max(0, blobBytes - spentBytes - rangeBytes), blobBytes);
  return ranges.length === 0 ? nothing() : frameRanges(count(parts.readRanges(ranges, { signal })));
}

function describePlan(plan: RebuildPlan, { blobBytes, spentBytes }: ChunkedTables): string {
  if (plan.choice === "whole") return `full download: ${plan.reason}`;
  const missing = `${formatCount(plan.missingFiles)} of ${formatCount(plan.files)} files missing`;
  const cost = `${formatMegabytes(spentBytes + plan.rangeBytes)} of ${formatMegabytes(blobBytes)} MB`;
  return `${missing}, ${cost} by ${plan.requests} request${plan.requests === 1 ? "" : "s"} for ${plan.ranges.length} ranges`;
}

function nameSource({ digest, parts }: ChunkedSource): string {
  if (parts.annotations !== undefined)
    return `layer ${digest?.slice(0, "sha256:".length + 12) ?? ""}`.trimEnd();
  return `archive${parts.tableDigest ? ` with table ${parts.tableDigest.slice(0, "sha256:".length + 12)}` : ""}`;
}

function createFullDownloadError(reason: string): AgentError {
  return new AgentError(
    "ARTIFACT_PARTIAL_PULL_FAILED",
    `Cannot pull the archive partially, and toc= does not cover a full download: ${reason}`,
  );
}
