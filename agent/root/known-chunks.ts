/**
 * Finds what is here of an archive: whole files, and pieces of changed files in files that are here.
 * A piece counts only once its bytes were read and had the digest that the table of contents promises.
 */
import { hash } from "node:crypto";
import type { FrameDecoder } from "../archive/zstd-chunked/frame-decoder.ts";
import { type Toc, TocReader } from "../archive/zstd-chunked/toc.ts";
import type { TocChunk, TocFile } from "../archive/zstd-chunked/toc-entry.ts";
import type { Arrivals } from "./arrivals.ts";
import type { ContentReader, FileContent } from "./file-content.ts";
import type { RebuildAnswers, RebuildQuestion } from "./unpack-job.ts";

/** Asks the main thread, which has the store. */
export interface FileAsker {
  ask<Kind extends RebuildQuestion["kind"]>(
    question: RebuildQuestion & { kind: Kind },
  ): Promise<RebuildAnswers[Kind]>;
}

/** Where a piece is. */
interface KnownChunk {
  content: FileContent;
  offset: number;
  sizeBytes: number;
}

/** Pieces by their sha256 in hex. */
export class KnownChunks {
  readonly #chunks = new Map<string, KnownChunk>();
  readonly #reader: ContentReader;

  constructor(reader: ContentReader) {
    this.#reader = reader;
  }

  has(digest: string): boolean {
    return this.#chunks.has(digest);
  }

  /** Good until the next call. */
  read(digest: string): Buffer {
    const { content, offset, sizeBytes } = this.#chunks.get(digest)!;
    return this.#reader.readAt(content, offset, sizeBytes);
  }

  add(digest: string, chunk: KnownChunk): void {
    if (hash("sha256", this.#reader.readAt(chunk.content, chunk.offset, chunk.sizeBytes)) === digest)
      this.#chunks.set(digest, chunk);
  }
}

const DIGEST_BYTES = 32;
const NO_DIGEST = "0".repeat(2 * DIGEST_BYTES);

/** Of files with these sha256 digests (hex) those that are here. */
export async function askForFiles(
  wanted: ReadonlySet<string>,
  peer: FileAsker,
): Promise<Map<string, FileContent>> {
  const digests = [...wanted];
  const answer = await peer.ask({ kind: "have", digests: Buffer.from(digests.join(""), "hex") });
  const { buffer, byteOffset, length } = answer.verities;
  const verities = Buffer.from(buffer, byteOffset, length);
  const found = new Map<string, FileContent>();
  for (const [index, digest] of digests.entries()) {
    const verity = verities.toString("hex", index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES);
    if (verity !== NO_DIGEST) found.set(digest, { verity });
  }
  for (const [index, content] of answer.smalls) found.set(digests[index]!, { inline: Buffer.from(content) });
  return found;
}

export interface ChunkSearchTools {
  reader: ContentReader;
  decoder: FrameDecoder;
  peer: FileAsker;
}

/** Searches this archive's table and those of others for the chunks of files that are not on the shelf. */
export async function findKnownChunks(
  toc: Toc,
  shelf: Arrivals<string, FileContent>,
  { reader, decoder, peer }: ChunkSearchTools,
): Promise<KnownChunks> {
  const known = new KnownChunks(reader);
  const wanted = new Map<string, number>();
  for (const { digest, chunks } of toc.files) {
    if (chunks.length === 1 || shelf.has(digest)) continue;
    for (const chunk of chunks) if (!chunk.isZeros) wanted.set(chunk.digest!, chunk.sizeBytes);
  }
  if (wanted.size === 0) return known;

  const candidates = new Map<string, { file: TocFile; chunk: TocChunk }>();
  const search = (files: readonly TocFile[], mayHave: (digest: string) => boolean) => {
    for (const file of files) {
      if (file.chunks.length === 1 || !mayHave(file.digest)) continue;
      for (const chunk of file.chunks) {
        const isWanted = chunk.digest !== undefined && wanted.get(chunk.digest) === chunk.sizeBytes;
        if (isWanted && !candidates.has(chunk.digest!)) candidates.set(chunk.digest!, { file, chunk });
      }
    }
  };
  search(toc.files, (digest) => shelf.has(digest));
  for (const frame of await peer.ask({ kind: "tables" })) {
    if (candidates.size === wanted.size) break;
    search(readFiles(frame, decoder), () => true);
  }
  const contents = await askForFiles(new Set([...candidates.values()].map(({ file }) => file.digest)), peer);
  for (const [digest, { file, chunk }] of candidates) {
    const content = contents.get(file.digest);
    if (content) known.add(digest, { content, offset: chunk.fileOffset, sizeBytes: chunk.sizeBytes });
  }
  return known;
}

/** Of a table that was checked when it was used. */
function readFiles(frame: Uint8Array, decoder: FrameDecoder): readonly TocFile[] {
  const reader = new TocReader({ dataEnd: Number.MAX_SAFE_INTEGER });
  for (const piece of decoder.decodeAll(frame)) reader.push(piece);
  return reader.finish().files;
}
