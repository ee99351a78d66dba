/**
 * Packs a tar as a zstd:chunked archive: the content of each file in its own frames, then TOC, tar-split and footer.
 * Other tools read it as an ordinary .tar.zst. It follows containers/storage's writer; podman 5.4 can pull parts of it.
 */

import { createHash, type Hash } from "node:crypto";
import type { TarMember } from "../../agent/archive/tar-entry.ts";
import { TarReader } from "../../agent/archive/tar-reader.ts";
import type { ChunkedPositions, FramePosition } from "../../agent/archive/zstd-chunked/positions.ts";
import { type ContentChunk, ContentSplitter } from "./content-splitter.ts";
import { DEFAULT_LEVEL, FrameCompressor } from "./frame-writer.ts";
import { PACK_LITERAL_MAX_BYTES } from "./limits.ts";
import { formatChunkedAnnotations, formatFooter, formatSkippableHeader } from "./positions-writer.ts";
import { TarSplitWriter } from "./tar-split-writer.ts";
import { TocWriter, type WrittenChunk } from "./toc-writer.ts";

const ZEROS = Buffer.alloc(PACK_LITERAL_MAX_BYTES);

export interface PackOptions {
  /** zstd's compression level. */
  level?: number;
  signal?: AbortSignal;
}

export interface PackedArchive {
  sizeBytes: number;
  /** `sha256:…` of the archive. */
  digest: string;
  /** `sha256:…` of the tar: the DiffID of an image layer. */
  diffId: string;
  tarBytes: number;
  files: number;
  positions: ChunkedPositions;
  /** For the layer's descriptor in a manifest. */
  annotations: Record<string, string>;
}

/**
 * Yields the archive of a tar stream and returns its description. It holds one chunk and the compressed tables in memory.
 * Throws ARCHIVE_CORRUPT, ARCHIVE_TRUNCATED and ARCHIVE_UNSUPPORTED_MEMBER.
 */
export async function* packArchive(
  tar: AsyncIterable<Buffer> | Iterable<Buffer>,
  options: PackOptions = {},
): AsyncGenerator<Buffer, PackedArchive> {
  const packer = new ArchivePacker(options.level ?? DEFAULT_LEVEL);
  for await (const chunk of tar) {
    options.signal?.throwIfAborted();
    packer.feed(chunk);
    yield* packer.takeOutput();
  }
  const packed = packer.finish();
  yield* packer.takeOutput();
  return packed;
}

class ArchivePacker {
  readonly #reader: TarReader;
  readonly #frames: FrameCompressor;
  readonly #splitter: ContentSplitter;
  readonly #toc: TocWriter;
  readonly #tarSplit: TarSplitWriter;
  readonly #blobHash = createHash("sha256");
  readonly #tarHash = createHash("sha256");
  #output: Buffer[] = [];
  #blobBytes = 0;
  #tarBytes = 0;
  #files = 0;
  /** Bytes of headers and padding since the last frame. */
  #literals: Buffer[] = [];
  #literalBytes = 0;

  #member: TarMember | undefined;
  #contentHash: Hash | undefined;
  #chunks: WrittenChunk[] = [];
  #fileOffset = 0;

  constructor(level: number) {
    this.#frames = new FrameCompressor(level);
    this.#toc = new TocWriter(level);
    this.#tarSplit = new TarSplitWriter(level);
    this.#splitter = new ContentSplitter((chunk) => this.#writeChunk(chunk));
    this.#reader = new TarReader({
      onLiteral: (bytes) => this.#addLiteral(bytes),
      onEntry: (member) => this.#startMember(member),
      onContent: (bytes) => this.#addContent(bytes),
      onHole: (sizeBytes) => this.#addHole(sizeBytes),
      onEntryEnd: () => this.#endMember(),
    });
  }

  feed(chunk: Buffer): void {
    this.#tarHash.update(chunk);
    this.#tarBytes += chunk.length;
    this.#reader.write(chunk);
  }

  takeOutput(): Buffer[] {
    const output = this.#output;
    this.#output = [];
    return output;
  }

  finish(): PackedArchive {
    this.#reader.end();
    this.#flushLiterals();
    const tarSplit = this.#tarSplit.finish();
    const tarSplitDigest = createHash("sha256").update(tarSplit.frame).digest("hex");
    const toc = this.#toc.finish(tarSplitDigest);
    const tocDigest = `sha256:${createHash("sha256").update(toc.frame).digest("hex")}`;
    const positions: ChunkedPositions = {
      toc: this.#writeTable(toc.frame, toc.plainBytes),
      tocDigest,
      tarSplit: this.#writeTable(tarSplit.frame, tarSplit.plainBytes),
    };
    this.#write(formatFooter(positions));
    return {
      sizeBytes: this.#blobBytes,
      digest: `sha256:${this.#blobHash.digest("hex")}`,
      diffId: `sha256:${this.#tarHash.digest("hex")}`,
      tarBytes: this.#tarBytes,
      files: this.#files,
      positions,
      annotations: formatChunkedAnnotations(positions),
    };
  }

  #addLiteral(bytes: Buffer): void {
    this.#tarSplit.addLiteral(bytes);
    // The caller may reuse its buffer before the frame is full.
    this.#literals.push(Buffer.from(bytes));
    this.#literalBytes += bytes.length;
    if (this.#literalBytes >= PACK_LITERAL_MAX_BYTES) this.#flushLiterals();
  }

  #startMember(member: TarMember): void {
    this.#member = member;
    this.#contentHash = createHash("sha256");
    this.#chunks = [];
    this.#fileOffset = 0;
    this.#tarSplit.startContent();
  }

  #addContent(bytes: Buffer): void {
    this.#flushLiterals();
    this.#tarSplit.addContent(bytes);
    this.#contentHash!.update(bytes);
    this.#splitter.push(bytes);
  }

  /** Zeros that the tar does not have. An empty skippable frame gives them a position; decoders ignore it. */
  #addHole(sizeBytes: number): void {
    this.#flushLiterals();
    this.#splitter.finish();
    const hash = createHash("sha256");
    for (let left = sizeBytes; left > 0; left -= ZEROS.length) {
      const zeros = ZEROS.subarray(0, left);
      this.#tarSplit.addContent(zeros);
      this.#contentHash!.update(zeros);
      hash.update(zeros);
    }
    const hole = { offset: this.#blobBytes, fileOffset: this.#fileOffset, sizeBytes, isZeros: true };
    this.#chunks.push({ ...hole, digest: hash.digest("hex") });
    this.#fileOffset += sizeBytes;
    this.#write(formatSkippableHeader(0));
  }

  #writeChunk({ bytes, isZeros }: ContentChunk): void {
    const offset = this.#blobBytes;
    this.#write(this.#frames.compress(bytes));
    const digest = createHash("sha256").update(bytes).digest("hex");
    this.#chunks.push({ offset, fileOffset: this.#fileOffset, sizeBytes: bytes.length, digest, isZeros });
    this.#fileOffset += bytes.length;
  }

  #endMember(): void {
    const member = this.#member!;
    this.#splitter.finish();
    this.#tarSplit.endContent(member);
    const digest = this.#chunks.length === 0 ? undefined : this.#contentHash!.digest("hex");
    this.#toc.addMember(member, digest, this.#chunks, this.#blobBytes);
    if (member.type === "file") this.#files++;
  }

  #flushLiterals(): void {
    if (this.#literalBytes === 0) return;
    this.#write(this.#frames.compress(Buffer.concat(this.#literals)));
    this.#literals = [];
    this.#literalBytes = 0;
  }

  #writeTable(frame: Buffer, plainBytes: number): FramePosition {
    this.#write(formatSkippableHeader(frame.length));
    const position = { offset: this.#blobBytes, sizeBytes: frame.length, plainBytes };
    this.#write(frame);
    return position;
  }

  #write(bytes: Buffer): void {
    this.#blobHash.update(bytes);
    this.#blobBytes += bytes.length;
    this.#output.push(bytes);
  }
}
