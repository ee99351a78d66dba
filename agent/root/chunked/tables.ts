/**
 * Fetches and caches the tables of a chunked layer or archive: the table of contents (TOC) and the tar-split.
 * The TOC is checked against the digest in the manifest or the job, and cached by its digest.
 */
import { createHash } from "node:crypto";
import { mergeRanges, type RangePiece } from "../../archive/byte-range.ts";
import { RANGE_GAP_BYTES } from "../../archive/limits.ts";
import {
  type ChunkedPositions,
  FOOTER_TAIL_BYTES,
  type FramePosition,
  parseChunkedAnnotations,
  parseFooter,
  SKIPPABLE_HEADER_BYTES,
} from "../../archive/zstd-chunked/positions.ts";
import type { ObjectRepository } from "../../composefs/object-repository.ts";
import { AgentError } from "../../errors.ts";
import { CHUNK_TABLES_SEARCHED, CHUNKED_TABLES_MAX_BYTES } from "../limits.ts";
import type { LayerSource, PartSource } from "../root-driver.ts";

export interface ChunkedTables {
  blobBytes: number;
  dataEnd: number;
  /** Compressed. */
  toc: Buffer;
  tarSplit: Buffer | undefined;
  /** sha256 of `toc`, hex. */
  tocSha256: string;
  /** Bytes transferred for them. */
  spentBytes: number;
}

/** Why the archive has no usable tables. */
export interface NoTables {
  reason: string;
}

interface Located {
  positions: ChunkedPositions;
  blobBytes: number;
  spentBytes: number;
}

export function isChunked({ annotations }: PartSource): boolean {
  return annotations === undefined || parseChunkedAnnotations(annotations) !== undefined;
}

/** Throws CHUNKED_BAD_ANNOTATION, CHUNKED_BAD_TOC, CHUNKED_TOO_LARGE, FETCH_NO_RANGES and network errors. */
export async function fetchTables(
  { sizeBytes, parts }: Pick<LayerSource, "sizeBytes"> & { parts: PartSource },
  store: ObjectRepository,
  options: { signal?: AbortSignal },
): Promise<ChunkedTables | NoTables> {
  const located = await locateTables(parts, sizeBytes, options);
  if ("reason" in located) return located;
  const { positions, blobBytes } = located;
  checkPositions(positions, blobBytes);
  const promised = (positions.tocDigest ?? parts.tableDigest)?.replace("sha256:", "");
  let toc = promised && readCached(store, nameToc(promised), promised);
  let tarSplit = promised && toc ? store.readTableIfExists(nameTarSplit(promised)) : undefined;

  const wanted: FramePosition[] = [];
  if (!toc) wanted.push(positions.toc);
  if (!tarSplit && positions.tarSplit) wanted.push(positions.tarSplit);
  const { frames, fetchedBytes } = await fetchFrames(parts, wanted, options);
  toc ||= frames.shift()!;
  tarSplit ??= frames.shift();

  const tocSha256 = sha256Of(toc);
  if (promised !== undefined && tocSha256 !== promised) {
    throw new AgentError(
      "CHUNKED_BAD_TOC",
      `Cannot use the table of contents: its sha256 is "${tocSha256}", but "${promised}" is expected`,
      { context: { expected: promised, got: tocSha256 } },
    );
  }
  return {
    blobBytes,
    dataEnd: positions.toc.offset - SKIPPABLE_HEADER_BYTES,
    toc,
    tarSplit,
    tocSha256,
    spentBytes: located.spentBytes + fetchedBytes,
  };
}

/** Caches the tables for the next pull; to be called when everything was verified. */
export function keepTables(store: ObjectRepository, { toc, tarSplit, tocSha256 }: ChunkedTables): void {
  if (store.readTableIfExists(nameToc(tocSha256))) return;
  store.putTable(nameToc(tocSha256), toc);
  if (tarSplit) store.putTable(nameTarSplit(tocSha256), tarSplit);
}

/** TOCs of other archives, nearest in size first: another version of this archive has a TOC of about the same size. */
export function listOtherTables(store: ObjectRepository, { toc, tocSha256 }: ChunkedTables): Buffer[] {
  const distance = ({ sizeBytes }: { sizeBytes: number }) => Math.abs(sizeBytes - toc.length);
  return store
    .listTables(nameToc(""))
    .filter(({ id }) => id !== nameToc(tocSha256))
    .sort((left, right) => distance(left) - distance(right))
    .slice(0, CHUNK_TABLES_SEARCHED)
    .flatMap(({ id }) => readCached(store, id, id.slice(nameToc("").length)) ?? []);
}

export interface TocLocation {
  position: FramePosition;
  /** `sha256:…` */
  digest: string;
}

/** undefined for a layer that is not chunked, or whose annotations are invalid: that was logged before. */
export function locateToc({ annotations = {} }: PartSource): TocLocation | undefined {
  try {
    const { toc, tocDigest } = parseChunkedAnnotations(annotations) ?? {};
    if (!toc || tocDigest === undefined || toc.sizeBytes > CHUNKED_TABLES_MAX_BYTES) return undefined;
    return { position: toc, digest: tocDigest };
  } catch (error) {
    if (error instanceof AgentError) return undefined;
    throw error;
  }
}

/** Passes the bytes of a full download on and caches its TOC: the next version of the layer finds shared chunks by it. */
export async function* captureToc(
  chunks: AsyncIterable<Buffer>,
  { position, digest }: TocLocation,
  store: ObjectRepository,
): AsyncGenerator<Buffer> {
  const copy = Buffer.alloc(position.sizeBytes);
  let offset = 0;
  for await (const bytes of chunks) {
    copyOverlap({ offset, bytes }, position, copy);
    offset += bytes.length;
    yield bytes;
  }
  const sha256 = sha256Of(copy);
  if (digest === `sha256:${sha256}`) store.putTable(nameToc(sha256), copy);
}

const nameToc = (tocSha256: string): string => `toc-${tocSha256}`;
/** Not verified here: the TOC contains the tar-split's digest. */
const nameTarSplit = (tocSha256: string): string => `tar-split-${tocSha256}`;

async function locateTables(
  parts: PartSource,
  sizeBytes: number | undefined,
  options: { signal?: AbortSignal },
): Promise<Located | NoTables> {
  if (parts.annotations !== undefined) {
    const positions = parseChunkedAnnotations(parts.annotations);
    if (!positions || sizeBytes === undefined) return { reason: "it is not zstd:chunked" };
    return { positions, blobBytes: sizeBytes, spentBytes: 0 };
  }
  const tail = await parts.readTail(FOOTER_TAIL_BYTES, options);
  if (!tail) return { reason: "its server does not support ranges" };
  const positions = parseFooter(tail.bytes, tail.totalBytes);
  if (!positions) return { reason: "it is not zstd:chunked" };
  return { positions, blobBytes: tail.totalBytes, spentBytes: tail.bytes.length };
}

function checkPositions({ toc, tarSplit }: ChunkedPositions, blobBytes: number): void {
  let tableBytes = 0;
  for (const { offset, sizeBytes } of tarSplit ? [toc, tarSplit] : [toc]) {
    tableBytes += sizeBytes;
    if (offset + sizeBytes > blobBytes)
      throw new AgentError(
        "CHUNKED_BAD_ANNOTATION",
        "Cannot use the positions of the tables: they exceed the size of the blob",
      );
  }
  if (tableBytes <= CHUNKED_TABLES_MAX_BYTES) return;
  throw new AgentError(
    "CHUNKED_TOO_LARGE",
    `Cannot read tables of ${tableBytes} bytes: they exceed the limit`,
    {
      context: { tableBytes, maxBytes: CHUNKED_TABLES_MAX_BYTES },
    },
  );
}

function readCached(store: ObjectRepository, id: string, sha256: string): Buffer | undefined {
  const bytes = store.readTableIfExists(id);
  return bytes && sha256Of(bytes) === sha256 ? bytes : undefined;
}

/** In the order of `positions`; adjacent frames are fetched as one range. */
async function fetchFrames(
  parts: PartSource,
  positions: readonly FramePosition[],
  options: { signal?: AbortSignal },
): Promise<{ frames: Buffer[]; fetchedBytes: number }> {
  // Shared with the worker that reads them.
  const frames = positions.map(({ sizeBytes }) => Buffer.from(new SharedArrayBuffer(sizeBytes)));
  const sorted = positions
    .map(({ offset, sizeBytes }) => ({ start: offset, end: offset + sizeBytes }))
    .sort((left, right) => left.start - right.start);
  const ranges = mergeRanges(sorted, RANGE_GAP_BYTES);
  if (ranges.length === 0) return { frames, fetchedBytes: 0 };
  for await (const { offset, bytes } of parts.readRanges(ranges, options)) {
    for (const [index, position] of positions.entries())
      copyOverlap({ offset, bytes }, position, frames[index]!);
  }
  return { frames, fetchedBytes: ranges.reduce((sum, { start, end }) => sum + end - start, 0) };
}

/** Copies the part of a piece of the blob that belongs to a frame. */
function copyOverlap({ offset, bytes }: RangePiece, position: FramePosition, frame: Buffer): void {
  const from = Math.max(offset, position.offset);
  const to = Math.min(offset + bytes.length, position.offset + position.sizeBytes);
  if (from < to) bytes.copy(frame, from - position.offset, from - offset, to - offset);
}

function sha256Of(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
