/**
 * Finds pieces of changed files in files that are here, of this archive and of others.
 * A piece counts only once its bytes were read and had the digest that the table of contents promises.
 */
import { hash } from "node:crypto";
import { tabulateDigests } from "../../archive/digest-table.ts";
import { type FoundChunk, searchChunks } from "../../archive/zstd-chunked/chunk-search.ts";
import type { FrameDecoder } from "../../archive/zstd-chunked/frame-decoder.ts";
import type { TocFiles } from "../../archive/zstd-chunked/toc-files.ts";
import { askForFiles, type ContentLookup, type FileAsker } from "./content-lookup.ts";
import type { ContentReader, FileContent } from "./file-content.ts";

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

export interface ChunkSearchTools {
  shelf: ContentLookup;
  reader: ContentReader;
  decoder: FrameDecoder;
  peer: FileAsker;
}

/** Searches this archive's table and those of others for the chunks of files that are not on the shelf. */
export async function findKnownChunks(
  files: TocFiles,
  { shelf, reader, decoder, peer }: ChunkSearchTools,
): Promise<KnownChunks> {
  const known = new KnownChunks(reader);
  /** Sizes by digest. */
  const wanted = new Map<string, number>();
  const isHere: number[] = [];
  for (let number = 0; number < files.length; number++) {
    if (files.isOneFrame(number)) continue;
    if (shelf.has(number)) isHere.push(number);
    else
      for (const { digest, isZeros, sizeBytes } of files.at(number)!.chunks)
        if (!isZeros) wanted.set(digest!, sizeBytes);
  }
  if (wanted.size === 0) return known;
  const wantedDigests = tabulateDigests(toDigests(wanted.keys()));

  const candidates = new Map<string, FoundChunk>();
  const isWanted = (digest: string) => wanted.has(digest) && !candidates.has(digest);
  for (const number of isHere) {
    if (!files.sharesChunk(number, wantedDigests)) continue;
    const { digest: fileDigest, chunks } = files.at(number)!;
    for (const { digest, fileOffset } of chunks)
      if (digest !== undefined && isWanted(digest))
        candidates.set(digest, { digest, fileDigest, fileOffset });
  }
  for (const frame of await peer.ask({ kind: "tables" })) {
    if (candidates.size === wanted.size) break;
    for (const found of searchChunks(decoder.decodeAll(frame), isWanted)) candidates.set(found.digest, found);
  }
  const found = [...candidates.values()];
  const contents = await askForFiles(toDigests(found.map(({ fileDigest }) => fileDigest)), peer);
  for (const [index, { digest, fileOffset }] of found.entries()) {
    const content = contents.get(index);
    if (content) known.add(digest, { content, offset: fileOffset, sizeBytes: wanted.get(digest)! });
  }
  return known;
}

/** Of digests in hex. */
function toDigests(digests: Iterable<string>): Buffer<ArrayBuffer> {
  return Buffer.from([...digests].join(""), "hex");
}
