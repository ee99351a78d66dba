/**
 * The worker's side of a pull in parts: reads the table, asks for what is missing, and puts the tar together again
 * of objects, fetched files and headers, so that one digest vouches for all of it. Trust goes from the table of
 * contents to each file's sha256 to the DiffID; nothing is used before the last of them.
 */
import { createHash } from "node:crypto";
import { setImmediate as takeTurn } from "node:timers/promises";
import { checkRatio } from "../../archive/decompress.ts";
import { FrameDecoder } from "../../archive/zstd-chunked/frame-decoder.ts";
import {
  LayerRebuilder,
  planFromHeaderFrames,
  planFromTarSplit,
  type RebuildStep,
} from "../../archive/zstd-chunked/layer-rebuilder.ts";
import { readTarSplit } from "../../archive/zstd-chunked/tar-split.ts";
import { type Toc, TocReader } from "../../archive/zstd-chunked/toc.ts";
import { AgentError } from "../../errors.ts";
import { REBUILD_SLICE_MS, UNPACK_WORKER_KEEP_FILES } from "../limits.ts";
import { collectAfter } from "../unpack/force-gc.ts";
import type { RebuildJob, UnpackResult } from "../unpack/messages.ts";
import { createStreamDigest, type StreamDigest } from "../unpack/tar-digest.ts";
import type { UnpackCounts } from "../unpack/unpack-archive.ts";
import { refuseDiffId } from "../unpack/verified-source.ts";
import { askForFiles, ContentLookup, type FileAsker } from "./content-lookup.ts";
import { DeferredMap } from "./deferred-map.ts";
import { ContentReader, type FileContent } from "./file-content.ts";
import { findKnownChunks } from "./known-chunks.ts";
import { PieceCollector } from "./piece-collector.ts";
import { planPieces } from "./plan.ts";
import { PartReader } from "./range-framing.ts";
import { RebuiltTree } from "./rebuilt-tree.ts";
import { ChunkedFiles } from "./staged-files.ts";

/** The main thread as a job sees it: what it sends are parts of the blob. */
export interface RebuildPeer extends AsyncIterable<Buffer>, FileAsker {
  readonly counts: UnpackCounts;
  /** Tells what the tree will be while the DiffID is still taken. */
  foretell(tree: Uint8Array): void;
}

/** Compressed frames of tar headers by where they start. */
type HeaderFrames = DeferredMap<number, Buffer>;

/** Without `collected` the main thread is to take the whole archive. Throws CHUNKED_… and LAYER_DIFFID_MISMATCH. */
export async function rebuildArchive(job: RebuildJob, peer: RebuildPeer): Promise<UnpackResult> {
  const decoder = new FrameDecoder();
  const toc = readToc(job, decoder);
  collectAfter(toc.files.length);
  const tarSplit = checkTarSplit(job, toc);
  const shelf = new ContentLookup(toc.files, await askForFiles(toc.files.copyDigests(), peer));
  const headers: HeaderFrames = new DeferredMap();
  const tree = new RebuiltTree();
  const reader = new ContentReader(job.objectsDir);
  const digest = createStreamDigest();
  const steps = tarSplit
    ? planFromTarSplit(toc, readTarSplit(new FrameDecoder().decodeAll(tarSplit)))
    : planFromHeaderFrames(toc, job.dataEnd);
  const checksFiles = job.diffId === undefined;
  const stop = new AbortController();
  const startBuilding = () => {
    const built = build(steps, {
      reader,
      shelf,
      headers,
      tree,
      digest,
      checksFiles,
      counts: peer.counts,
      foretell: (bytes: Uint8Array) => peer.foretell(bytes),
      signal: stop.signal,
    });
    // Its failure is taken below, perhaps much later.
    built.catch(() => {});
    return built;
  };
  // What is here is read and hashed while the rest is looked for and fetched.
  let building = !checksFiles && isMostlyHere(toc, shelf) ? startBuilding() : undefined;
  let files: ChunkedFiles | undefined;
  try {
    const hasFile = (number: number) => shelf.has(number);
    const chunks = await findKnownChunks(toc.files, { shelf, reader, decoder, peer });
    collectAfter(toc.files.length);
    const hasChunk = (digest: string) => chunks.has(digest);
    const needsHeaders = tarSplit === undefined;
    const { plan, pieces } = planPieces(job, toc, { hasFile, hasChunk, needsHeaders });
    await peer.ask({ kind: "fetch", plan });
    if (plan.choice === "whole") return tree.finish(undefined);

    files = new ChunkedFiles(job.rootPath, {
      chunks,
      onContent: (digest, content) => shelf.put(digest, content),
    });
    for (let number = 0; number < toc.files.length; number++)
      if (!shelf.has(number)) files.addIfComplete(toc.files.at(number)!);
    const onHeaders = (start: number, frames: Buffer) => headers.put(start, frames);
    const collector = new PieceCollector(pieces, { files, decoder, onHeaders });
    building ??= startBuilding();
    const [diffId] = await Promise.all([
      building,
      receive(peer, collector).catch((error: unknown) => {
        shelf.fail(error);
        headers.fail(error);
        throw error;
      }),
    ]);
    if (job.diffId !== undefined && diffId !== job.diffId) throw refuseDiffId(job, diffId);
    return tree.finish(diffId, files.staged);
  } finally {
    const givenUp = new Error("The archive was given up");
    stop.abort(givenUp);
    shelf.fail(givenUp);
    headers.fail(givenUp);
    await building?.catch(() => {});
    files?.close();
    digest.close();
  }
}

/** Where hardly anything is, the whole may be taken, and what was read would have been read for nothing. */
function isMostlyHere({ files }: Toc, shelf: ContentLookup): boolean {
  let hereBytes = 0;
  let totalBytes = 0;
  for (let number = 0; number < files.length; number++) {
    totalBytes += files.sizeOf(number);
    if (shelf.has(number)) hereBytes += files.sizeOf(number);
  }
  return 2 * hereBytes > totalBytes;
}

function readToc(job: RebuildJob, decoder: FrameDecoder): Toc {
  const reader = new TocReader({ dataEnd: job.dataEnd });
  for (const piece of decoder.decodeAll(job.toc)) reader.push(piece);
  const toc = reader.finish();
  let contentBytes = 0;
  for (let number = 0; number < toc.files.length; number++) contentBytes += toc.files.sizeOf(number);
  checkRatio(job.blobBytes, contentBytes);
  return toc;
}

/** The tar-split, if the table vouches for it; without one the blob's own frames of headers serve. */
function checkTarSplit({ tarSplit, isTableBound }: RebuildJob, toc: Toc): Uint8Array | undefined {
  if (tarSplit === undefined || toc.tarSplitDigest === undefined) {
    if (isTableBound) throw badTarSplit("the table of contents vouches for none");
    return undefined;
  }
  const sha256 = createHash("sha256").update(tarSplit).digest("hex");
  if (sha256 === toc.tarSplitDigest) return tarSplit;
  throw badTarSplit(`it has the sha256 "${sha256}", the table of contents says "${toc.tarSplitDigest}"`);
}

function badTarSplit(fault: string): AgentError {
  return new AgentError("CHUNKED_BAD_TAR_SPLIT", `Cannot use the tar-split: ${fault}`);
}

async function receive(chunks: AsyncIterable<Buffer>, collector: PieceCollector): Promise<void> {
  const reader = new PartReader();
  for await (const chunk of chunks) for (const piece of reader.read(chunk)) collector.push(piece);
  if (collector.missing > 0) throw new Error(`${collector.missing} pieces of the archive never came`);
}

interface BuildTools {
  reader: ContentReader;
  shelf: ContentLookup;
  headers: HeaderFrames;
  tree: RebuiltTree;
  digest: StreamDigest;
  counts: UnpackCounts;
  foretell: RebuildPeer["foretell"];
  /** No DiffID will tell whether what was here already is sound. */
  checksFiles: boolean;
  signal: AbortSignal;
}

/** Puts the tar together as its parts come, and lets the thread look at its messages every few milliseconds. */
async function build(
  steps: Iterable<RebuildStep>,
  { reader, shelf, headers, tree, digest, counts, foretell, checksFiles, signal }: BuildTools,
): Promise<string> {
  let content: FileContent | undefined;
  const rebuilder = new LayerRebuilder(({ entry, file }) => tree.add({ entry }, file && content), digest);
  const decoder = new FrameDecoder();
  let sliceStart = performance.now();
  const lookUp = async () => {
    await takeTurn();
    signal.throwIfAborted();
    sliceStart = performance.now();
  };
  for (const step of steps) {
    if (step.kind === "literal") rebuilder.addLiteral(step.bytes);
    else if (step.kind === "headers") {
      const frames = await headers.wait(step.range.start);
      headers.delete(step.range.start);
      for (const bytes of decoder.decodeAll(frames)) rebuilder.addLiteral(bytes);
    } else {
      const { file, number } = step;
      content = shelf.get(number) ?? (await shelf.wait(number));
      rebuilder.startContent(file);
      if (checksFiles || "inline" in content) {
        const sha256 = checksFiles ? createHash("sha256") : undefined;
        for (const bytes of reader.read(content)) {
          rebuilder.addContent(bytes);
          sha256?.update(bytes);
          if (performance.now() - sliceStart > REBUILD_SLICE_MS) await lookUp();
        }
        if (sha256 && sha256.digest("hex") !== file.digest) throw objectDamaged(file.name);
      } else {
        // Read and hashed beside this thread.
        digest.addFile(reader.pathOf(content), file.sizeBytes);
        rebuilder.passContent();
      }
      rebuilder.endContent();
      counts.bytesOut += file.sizeBytes;
      counts.files = tree.size;
      if (performance.now() - sliceStart > REBUILD_SLICE_MS) await lookUp();
    }
  }
  // A large one would be held twice at the moment when most memory is used.
  if (tree.size <= UNPACK_WORKER_KEEP_FILES) foretell(tree.seal());
  return rebuilder.finish().diffId;
}

function objectDamaged(name: string): AgentError {
  return new AgentError("STORE_OBJECT_CORRUPT", `Cannot use the object that holds "${name}": it is damaged`);
}
