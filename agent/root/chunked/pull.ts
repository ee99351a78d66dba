/**
 * Takes a zstd:chunked layer or archive in parts: what is here already is not fetched (docs/architecture.md, "partial pulls").
 * What cannot be had in parts is taken whole where something vouches for the whole, and the log says why.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as takeTurn } from "node:timers/promises";
import type { RangePiece } from "../../archive/byte-range.ts";
import {
  DIGEST_BYTES,
  isNoDigest,
  listDigests,
  NO_DIGEST,
  readDigest,
  uniteDigests,
} from "../../archive/digest-table.ts";
import type { ObjectRepository } from "../../composefs/object-repository.ts";
import { AgentError, type ErrorCode } from "../../errors.ts";
import { formatCount, formatMegabytes } from "../../text.ts";
import type { LayerSource, PartSource, UnpackOptions } from "../root-driver.ts";
import { collectAfter } from "../unpack/force-gc.ts";
import type { KnownFiles, RebuildPlan, RebuildQuestion, UnpackResult } from "../unpack/messages.ts";
import type { TakeOptions, UnpackPool } from "../unpack/pool.ts";
import { frameParts } from "./range-framing.ts";
import { type ChunkedTables, fetchTables, isChunked, keepTables, listOtherTables } from "./tables.ts";

export interface ChunkedPullTools {
  store: ObjectRepository;
  pool: UnpackPool;
  log: { info(line: string): void; warn(line: string): void };
}

type ChunkedSource = LayerSource & { parts: PartSource };

/** Gives nothing when the source is to be taken whole. Objects are staged below `rootPath`. */
export async function pullInParts(
  source: LayerSource,
  rootPath: string,
  tools: ChunkedPullTools,
  options: TakeOptions,
): Promise<UnpackResult | undefined> {
  if (!hasParts(source)) return undefined;
  const { log, store } = tools;
  const name = nameSource(source);
  for (let attempt = 1; ; attempt++) {
    const used: Buffer[] = [];
    try {
      const fault = findFault(source, store);
      if (fault === undefined) {
        const stagingDir = join(rootPath, `attempt-${attempt}`);
        mkdirSync(stagingDir);
        return await pullOnce(source, { ...tools, stagingDir, name, used }, options);
      }
      if (isTableBound(source)) throw refuseWhole(fault);
      if (fault !== "") log.info(`${name}: taken whole: ${fault}`);
      return undefined;
    } catch (error) {
      if (options.signal?.aborted || !(error instanceof AgentError)) throw error;
      // What was read from here may be what is wrong; then it is known now, and fetched at the second try.
      const { lost } = MAY_BE_OURS.has(error.code) ? await store.check(listUsed(used)) : { lost: [] };
      if (lost.length > 0) log.warn(`store: dropped ${lost.length} damaged objects`);
      if (lost.length > 0 && attempt === 1) continue;
      if (isTableBound(source) || !MAY_GO_WHOLE.test(error.code)) throw error;
      log.warn(`${name}: taken whole: ${error.message} (${error.code})`);
      return undefined;
    }
  }
}

const MAY_BE_OURS: ReadonlySet<ErrorCode> = new Set([
  "STORE_OBJECT_CORRUPT",
  "LAYER_DIFFID_MISMATCH",
  "CHUNKED_BAD_TOC",
]);
/** Errors of what only a pull in parts relies on; the whole is checked by digests of its own. */
const MAY_GO_WHOLE =
  /^(CHUNKED_|ARCHIVE_|MULTIPART_|STORE_OBJECT_CORRUPT|LAYER_DIFFID_MISMATCH|FETCH_(NO|TOO_MANY)_RANGES|FETCH_WRONG_RANGE)/;

function hasParts(source: LayerSource): source is ChunkedSource {
  return source.parts !== undefined;
}

/** Only the table is promised: what cannot be had in parts cannot be had. */
function isTableBound({ digest, diffId, parts }: ChunkedSource): boolean {
  return parts.tableDigest !== undefined && digest === undefined && diffId === undefined;
}

/** Why parts are of no use here; the empty text where nobody would expect them to be. */
function findFault(source: ChunkedSource, store: ObjectRepository): string | undefined {
  const { digest, diffId, parts } = source;
  const isLayer = parts.annotations !== undefined;
  if (isLayer && !isChunked(parts)) return "";
  if (isLayer && !diffId?.startsWith("sha256:")) return "no sha256 DiffID would check what comes in parts";
  // Parts of an archive cannot be held against a digest of the whole.
  if (!isLayer && digest !== undefined && parts.tableDigest === undefined) return "";
  if (store.isEmpty && !isTableBound(source)) return isLayer ? "nothing is here yet" : "";
  return undefined;
}

interface PullTools extends ChunkedPullTools {
  stagingDir: string;
  name: string;
  /** Filled with what was answered of the objects that are here, which may be read. */
  used: Buffer[];
}

async function pullOnce(
  source: ChunkedSource,
  tools: PullTools,
  options: TakeOptions,
): Promise<UnpackResult | undefined> {
  const { store, pool, log, name } = tools;
  const tables = await fetchTables(source, store, options);
  if ("reason" in tables) {
    if (isTableBound(source)) throw refuseWhole(tables.reason);
    log.info(`${name}: taken whole: ${tables.reason}`);
    return undefined;
  }
  const stream = Promise.withResolvers<AsyncIterable<Buffer>>();
  // While the worker, which has its job by the next turn, reads the table.
  const indexing = takeTurn().then(() => indexStore(tools));
  // Its failure is the worker's question's.
  indexing.catch(() => {});
  const onAsk = async (question: RebuildQuestion) => {
    if (question.kind === "have") {
      await indexing;
      return lookUp(question.digests, store, tools.used);
    }
    if (question.kind === "tables") return listOtherTables(store, tables);
    log.info(`${name}: ${describePlan(question.plan, tables)}`);
    collectAfter(question.plan.files);
    stream.resolve(openParts(question.plan, tables, source, options));
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
  const { signal, onTree } = options;
  const open = async () => readLater(stream.promise);
  const result = await pool.unpack(
    job,
    { open },
    {
      onAsk,
      signal,
      onTree,
    },
  );
  if (!result.collected) return undefined;
  keepTables(store, tables);
  return result;
}

/** Whatever came whole can be found by its sha256 then. */
async function indexStore({ store, log }: PullTools): Promise<void> {
  const { files, bytes } = await store.indexFiles();
  if (files === 0) return;
  log.info(`store: indexed ${formatCount(files)} files (${formatMegabytes(bytes)} MB) of what came whole`);
}

function lookUp(digests: Uint8Array<ArrayBuffer>, store: ObjectRepository, used: Buffer[]): KnownFiles {
  const asked = Buffer.from(digests.buffer, digests.byteOffset, digests.length);
  // For the worker, and for us should something be damaged: once in memory.
  const verities = Buffer.from(new SharedArrayBuffer(asked.length));
  store.findBySha256(asked).copy(verities);
  used.push(verities);
  collectAfter(asked.length / DIGEST_BYTES);
  const smalls: KnownFiles["smalls"] = [];
  for (let number = 0; number * DIGEST_BYTES < asked.length; number++) {
    if (!isNoDigest(verities, number)) continue;
    const small = store.findSmall(readDigest(asked, number));
    if (small) smalls.push([number, small]);
  }
  return { verities, smalls };
}

function listUsed(answers: readonly Buffer[]): string[] {
  return [...listDigests(uniteDigests(Buffer.concat(answers)))].filter((verity) => verity !== NO_DIGEST);
}

async function* readLater(chunks: Promise<AsyncIterable<Buffer>>): AsyncGenerator<Buffer> {
  yield* await chunks;
}

function openParts(
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
  return ranges.length === 0 ? nothing() : frameParts(count(parts.readRanges(ranges, { signal })));
}

function describePlan(plan: RebuildPlan, { blobBytes, spentBytes }: ChunkedTables): string {
  if (plan.choice === "whole") return `taken ${plan.reason}`;
  const missing = `${formatCount(plan.missingFiles)} of ${formatCount(plan.files)} files missing`;
  const cost = `${formatMegabytes(spentBytes + plan.rangeBytes)} of ${formatMegabytes(blobBytes)} MB`;
  return `${missing}, ${cost} by ${plan.requests} request${plan.requests === 1 ? "" : "s"} for ${plan.ranges.length} ranges`;
}

function nameSource({ digest, parts }: ChunkedSource): string {
  if (parts.annotations !== undefined)
    return `layer ${digest?.slice(0, "sha256:".length + 12) ?? ""}`.trimEnd();
  return `archive${parts.tableDigest ? ` with table ${parts.tableDigest.slice(0, "sha256:".length + 12)}` : ""}`;
}

function refuseWhole(reason: string): AgentError {
  return new AgentError(
    "ARTIFACT_PARTIAL_PULL_FAILED",
    `Cannot take the archive, of which only the table of contents is vouched for: ${reason}`,
  );
}
