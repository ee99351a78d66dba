/**
 * The worker's side of a partial pull: reads the TOC, asks for what is missing, and rebuilds the tar from objects, fetched
 * files and headers, so that one digest covers all of it. The TOC vouches for each file's sha256, the DiffID for the whole
 * tar; nothing is used before the last check.
 */
import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
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
import { LayerTreeWriter } from "../../composefs/layer-tree.ts";
import type { StagedObjects } from "../../composefs/object-repository.ts";
import { AgentError } from "../../errors.ts";
import { REBUILD_SLICE_MS } from "../limits.ts";
import { collectAfter } from "../unpack/force-gc.ts";
import type { RebuildJob, UnpackResult } from "../unpack/messages.ts";
import { StreamDigest } from "../unpack/tar-digest.ts";
import type { UnpackCounts } from "../unpack/unpack-archive.ts";
import { createDiffIdError } from "../unpack/verified-source.ts";
import { ContentLookup, DeferredMap, type QuestionPeer, StoredContents } from "./content-lookup.ts";
import { ContentReader, type FileContent } from "./file-content.ts";
import { findKnownChunks } from "./known-chunks.ts";
import { PieceCollector, planPieces } from "./pieces.ts";
import { FramedRangeReader } from "./range-framing.ts";
import { StagedFiles } from "./staged-files.ts";

/** Larger files are read here, beside the hash thread; it reads smaller ones, for which calls from JavaScript take too long. */
const READ_HERE_BYTES = 64 * 1024;

/** The main thread as a job sees it: it sends ranges of the blob. */
export interface RebuildPeer extends QuestionPeer, AsyncIterable<Buffer> {
  readonly counts: UnpackCounts;
}

/** A result without `collected` tells the main thread to pull the whole archive. Throws CHUNKED_…, LAYER_DIFFID_MISMATCH. */
export async function rebuildArchive(job: RebuildJob, peer: RebuildPeer): Promise<UnpackResult> {
  const decoder = new FrameDecoder();
  const toc = readToc(job, decoder);
  collectAfter(toc.files.length);
  const tarSplit = checkTarSplit(job, toc);
  const contents = new ContentLookup(toc.files, await StoredContents.ask(toc.files.copyDigests(), peer));
  const reader = new ContentReader(job.objectsDir);
  const steps = tarSplit
    ? planFromTarSplit(toc, readTarSplit(new FrameDecoder().decodeAll(tarSplit)))
    : planFromHeaderFrames(toc, job.dataEnd);
  const rebuild = new Rebuild(contents, reader, peer, { checksFiles: job.diffId === undefined });
  const startBuilding = () => {
    const built = rebuild.run(steps);
    // Its rejection is handled below, perhaps much later.
    built.catch(() => {});
    return built;
  };
  // Stored contents are read and hashed while the rest is searched for and fetched.
  let building = job.diffId !== undefined && isMostlyStored(toc, contents) ? startBuilding() : undefined;
  let files: StagedFiles | undefined;
  try {
    const chunks = await findKnownChunks(toc.files, { contents, reader, decoder, peer });
    collectAfter(toc.files.length);
    const { plan, pieces } = planPieces(job, toc, {
      hasFile: (number) => contents.has(number),
      hasChunk: (digest) => chunks.has(digest),
      needsHeaders: tarSplit === undefined,
    });
    await peer.ask({ kind: "fetch", plan });
    if (plan.choice === "whole") return rebuild.finish();

    files = new StagedFiles(job.rootPath, chunks, (digest, content) => contents.put(digest, content));
    for (let number = 0; number < toc.files.length; number++)
      if (!contents.has(number)) files.addIfComplete(toc.files.at(number)!);
    const onHeaders = (start: number, frames: Buffer) => rebuild.headers.put(start, frames);
    const collector = new PieceCollector(pieces, { files, decoder, onHeaders });
    building ??= startBuilding();
    const [diffId] = await Promise.all([
      building,
      receive(peer, collector).catch((error: unknown) => {
        rebuild.fail(error);
        throw error;
      }),
    ]);
    if (job.diffId !== undefined && diffId !== job.diffId) throw createDiffIdError(job, diffId);
    return rebuild.finish({ diffId, staged: files.staged });
  } finally {
    rebuild.abort(new Error("The pull of the archive was aborted"));
    await building?.catch(() => {});
    files?.close();
    rebuild.close();
  }
}

/** Where little is stored, the plan may be a full download, and reading would be wasted. */
function isMostlyStored({ files }: Toc, contents: ContentLookup): boolean {
  let storedBytes = 0;
  let totalBytes = 0;
  for (let number = 0; number < files.length; number++) {
    totalBytes += files.sizeOf(number);
    if (contents.has(number)) storedBytes += files.sizeOf(number);
  }
  return 2 * storedBytes > totalBytes;
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

/** The tar-split, if the TOC vouches for it; else undefined, and the header frames of the blob are used. */
function checkTarSplit({ tarSplit, isTableBound }: RebuildJob, toc: Toc): Uint8Array | undefined {
  if (tarSplit === undefined || toc.tarSplitDigest === undefined) {
    if (isTableBound) throw createTarSplitError("the table of contents has no digest of one");
    return undefined;
  }
  const sha256 = createHash("sha256").update(tarSplit).digest("hex");
  if (sha256 === toc.tarSplitDigest) return tarSplit;
  throw createTarSplitError(
    `its sha256 is "${sha256}", but the table of contents says "${toc.tarSplitDigest}"`,
  );
}

function createTarSplitError(reason: string): AgentError {
  return new AgentError("CHUNKED_BAD_TAR_SPLIT", `Cannot use the tar-split: ${reason}`);
}

async function receive(chunks: AsyncIterable<Buffer>, collector: PieceCollector): Promise<void> {
  const reader = new FramedRangeReader();
  for await (const chunk of chunks) for (const piece of reader.read(chunk)) collector.push(piece);
  if (collector.missing > 0) throw new Error(`${collector.missing} pieces of the archive were not received`);
}

/** Rebuilds the tar and collects its tree as the parts arrive; every few milliseconds it lets the thread read messages. */
class Rebuild {
  /** Compressed frames of tar headers by their start. */
  readonly headers = new DeferredMap<number, Buffer>();
  readonly #contents: ContentLookup;
  readonly #reader: ContentReader;
  readonly #peer: RebuildPeer;
  /** No DiffID will reveal a damaged object: each file is hashed. */
  readonly #checksFiles: boolean;
  readonly #tree = new LayerTreeWriter();
  readonly #digest = new StreamDigest();
  readonly #rebuilder: LayerRebuilder;
  #contentBytes = 0;
  #content: FileContent | undefined;
  #abortReason: Error | undefined;
  #sliceStart = 0;

  constructor(
    contents: ContentLookup,
    reader: ContentReader,
    peer: RebuildPeer,
    { checksFiles }: { checksFiles: boolean },
  ) {
    this.#contents = contents;
    this.#reader = reader;
    this.#peer = peer;
    this.#checksFiles = checksFiles;
    this.#rebuilder = new LayerRebuilder(({ entry, file }) => {
      this.#contentBytes += entry.sizeBytes;
      this.#tree.add(entry, file && this.#content);
    }, this.#digest);
  }

  /** Returns the DiffID. */
  async run(steps: Iterable<RebuildStep>): Promise<string> {
    const decoder = new FrameDecoder();
    this.#sliceStart = performance.now();
    for (const step of steps) {
      if (step.kind === "literal") this.#rebuilder.addLiteral(step.bytes);
      else if (step.kind === "headers") {
        const frames = await this.headers.wait(step.range.start);
        this.headers.delete(step.range.start);
        for (const bytes of decoder.decodeAll(frames)) this.#rebuilder.addLiteral(bytes);
      } else await this.#addFile(step);
    }
    return this.#rebuilder.finish().diffId;
  }

  async #addFile({ file, number }: RebuildStep & { kind: "content" }): Promise<void> {
    const content = await this.#contents.wait(number);
    this.#content = content;
    this.#rebuilder.startContent(file);
    // Its bytes are those of the tar.
    const isPlain = !("inline" in content) && !this.#rebuilder.isSparse;
    if (isPlain && !this.#checksFiles && file.sizeBytes < READ_HERE_BYTES)
      this.#digest.addFile(this.#reader.pathOf(content), file.sizeBytes);
    else {
      const sha256 = this.#checksFiles ? createHash("sha256") : undefined;
      let sizeBytes = 0;
      for (const bytes of this.#reader.read(content, isPlain ? () => this.#digest.space() : undefined)) {
        if (isPlain) this.#digest.advance(bytes.length);
        else this.#rebuilder.addContent(bytes);
        sha256?.update(bytes);
        sizeBytes += bytes.length;
        if (this.#isSliceOver) await this.#startSlice();
      }
      if (sizeBytes !== file.sizeBytes || (sha256 && sha256.digest("hex") !== file.digest))
        throw new AgentError(
          "STORE_OBJECT_CORRUPT",
          `Cannot use the object with the content of "${file.name}": its size or sha256 is wrong`,
        );
    }
    if (isPlain) this.#rebuilder.passContent();
    this.#rebuilder.endContent();
    this.#peer.counts.bytesOut += file.sizeBytes;
    this.#peer.counts.files = this.#tree.members;
    if (this.#isSliceOver) await this.#startSlice();
  }

  get #isSliceOver(): boolean {
    return performance.now() - this.#sliceStart > REBUILD_SLICE_MS;
  }

  async #startSlice(): Promise<void> {
    await nextTurn();
    if (this.#abortReason) throw this.#abortReason;
    this.#sliceStart = performance.now();
  }

  /** Without `collected`, nothing was rebuilt. */
  finish(collected?: { diffId: string; staged: StagedObjects }): UnpackResult {
    return {
      files: this.#tree.members,
      contentBytes: this.#contentBytes,
      warnings: [],
      collected: collected && { ...collected, tree: this.#tree.finish().bytes },
    };
  }

  /** Nothing more will be fetched. */
  fail(error: unknown): void {
    this.#contents.fail(error);
    this.headers.fail(error);
  }

  abort(reason: Error): void {
    this.#abortReason = reason;
    this.fail(reason);
  }

  close(): void {
    this.#digest.close();
  }
}
