/**
 * Finds chunks of missing files in stored files, by the TOCs of other archives (a previous version, say).
 * A chunk is used only after its bytes were read and have the digest that this archive's TOC promises.
 */
import { hash } from "node:crypto";
import { type FoundChunk, searchChunks } from "../../archive/zstd-chunked/chunk-search.ts";
import type { FrameDecoder } from "../../archive/zstd-chunked/frame-decoder.ts";
import type { TocFiles } from "../../archive/zstd-chunked/toc-files.ts";
import { type ContentLookup, type QuestionPeer, StoredContents } from "./content-lookup.ts";
import type { ContentReader, FileContent } from "./file-content.ts";

interface KnownChunk {
  content: FileContent;
  offset: number;
  sizeBytes: number;
}

/** Chunks by their sha256 in hex. */
export class KnownChunks {
  readonly #chunks = new Map<string, KnownChunk>();
  readonly #reader: ContentReader;

  constructor(reader: ContentReader) {
    this.#reader = reader;
  }

  has(digest: string): boolean {
    return this.#chunks.has(digest);
  }

  read(digest: string): Buffer {
    const { content, offset, sizeBytes } = this.#chunks.get(digest)!;
    return this.#reader.readAt(content, offset, sizeBytes);
  }

  /** Adds the chunk if its bytes have the digest. */
  add(digest: string, chunk: KnownChunk): void {
    if (hash("sha256", this.#reader.readAt(chunk.content, chunk.offset, chunk.sizeBytes)) === digest)
      this.#chunks.set(digest, chunk);
  }
}

export interface ChunkSearchTools {
  contents: ContentLookup;
  reader: ContentReader;
  decoder: FrameDecoder;
  peer: QuestionPeer;
}

export async function findKnownChunks(
  files: TocFiles,
  { contents, reader, decoder, peer }: ChunkSearchTools,
): Promise<KnownChunks> {
  const known = new KnownChunks(reader);
  /** Sizes by digest. */
  const wanted = new Map<string, number>();
  for (let number = 0; number < files.length; number++) {
    if (contents.has(number)) continue;
    for (const { digest, isZeros, sizeBytes } of files.chunksOf(number) ?? [])
      if (!isZeros) wanted.set(digest!, sizeBytes);
  }
  if (wanted.size === 0) return known;

  const found = new Map<string, FoundChunk>();
  const isWanted = (digest: string) => wanted.has(digest) && !found.has(digest);
  for (const toc of await peer.ask({ kind: "tables" })) {
    if (found.size === wanted.size) break;
    for (const chunk of searchChunks(decoder.decodeAll(toc), isWanted)) found.set(chunk.digest, chunk);
  }
  const digests = [...found.values()].map(({ fileDigest }) => fileDigest).join("");
  const stored = await StoredContents.ask(Buffer.from(digests, "hex"), peer);
  for (const [index, { digest, fileOffset }] of [...found.values()].entries()) {
    const content = stored.get(index);
    if (content) known.add(digest, { content, offset: fileOffset, sizeBytes: wanted.get(digest)! });
  }
  return known;
}
