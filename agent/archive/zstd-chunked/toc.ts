/**
 * The table of contents (TOC) of a zstd:chunked blob: which files it holds and where their compressed bytes are.
 * Follows containers/storage's format, version 1. Nothing in it is trusted before it was checked here.
 */

import { AgentError } from "../../errors.ts";
import { TOC_MAX_BYTES, TOC_MAX_ENTRIES } from "../limits.ts";
import { parseTocEntry, type TocFile, type TocRecord } from "./toc-entry.ts";
import { TocFiles } from "./toc-files.ts";
import { TocJsonReader } from "./toc-json.ts";

export interface Toc {
  /** Those with content, in the order of their bytes in the blob, which is that of the tar. */
  files: TocFiles;
  /** sha256 (hex) of the compressed tar-split; without one, no tar-split may be used. */
  tarSplitDigest: string | undefined;
}

export interface TocLimits {
  /** Where payloads must end: the start of the frame that holds the TOC. */
  dataEnd: number;
  maxBytes?: number;
  maxEntries?: number;
}

/** Takes the decompressed TOC in pieces. */
export class TocReader {
  readonly #limits: TocLimits;
  readonly #json: TocJsonReader;
  readonly #files = new TocFiles();
  #entryCount = 0;
  #plainBytes = 0;
  /** The last file, whose further chunks may follow. */
  #file: TocFile | undefined;

  constructor(limits: TocLimits) {
    this.#limits = limits;
    this.#json = new TocJsonReader((entry) => this.#addEntry(entry));
  }

  /** Throws CHUNKED_BAD_TOC or CHUNKED_TOO_LARGE. */
  push(chunk: Buffer): void {
    this.#plainBytes += chunk.length;
    const { maxBytes = TOC_MAX_BYTES } = this.#limits;
    if (this.#plainBytes > maxBytes) throw tooLarge(`${maxBytes} bytes`);
    this.#json.push(chunk);
  }

  /** Throws CHUNKED_BAD_TOC or CHUNKED_TOO_LARGE. */
  finish(): Toc {
    const { version, tarSplitDigest } = this.#json.finish();
    if (version !== 1) throw badToc(`its version is ${String(version)}, not 1`);
    this.#endFile();
    const files = this.#files.sort();
    checkPayloads(files, this.#limits.dataEnd);
    return { files, tarSplitDigest: readTarSplitDigest(tarSplitDigest) };
  }

  #addEntry(entry: unknown): void {
    const { maxEntries = TOC_MAX_ENTRIES } = this.#limits;
    if (++this.#entryCount > maxEntries) throw tooLarge(`${maxEntries} entries`);
    const record = parseTocEntry(entry);
    if (record.kind === "chunk") {
      addChunk(this.#file, record);
      return;
    }
    this.#endFile();
    this.#file = record.kind === "file" ? record.file : undefined;
  }

  #endFile(): void {
    if (this.#file === undefined) return;
    finishFile(this.#file);
    this.#files.add(this.#file);
    this.#file = undefined;
  }
}

/** A TOC that is in memory as a whole. Throws CHUNKED_BAD_TOC or CHUNKED_TOO_LARGE. */
export function parseToc(plain: Buffer, limits: TocLimits): Toc {
  const reader = new TocReader(limits);
  reader.push(plain);
  return reader.finish();
}

function addChunk(file: TocFile | undefined, record: Extract<TocRecord, { kind: "chunk" }>): void {
  const { kind: _, name, ...chunk } = record;
  const last = file?.chunks.at(-1);
  if (file === undefined || last === undefined || file.name !== name)
    throw badToc(`the chunk of "${name}" does not follow its file`);
  if (chunk.offset <= last.offset || chunk.fileOffset !== last.fileOffset + last.sizeBytes)
    throw badToc(`the chunks of "${name}" are not contiguous`);
  const { endOffset } = last;
  last.endOffset = chunk.offset;
  file.chunks.push({ ...chunk, endOffset });
}

/** Checks that the chunks, which are complete now, make up the file. */
function finishFile({ name, sizeBytes, digest, chunks }: TocFile): void {
  const first = chunks[0]!;
  const last = chunks.at(-1)!;
  // A file that is a single chunk has no chunk fields.
  if (chunks.length === 1 && first.sizeBytes === 0) first.sizeBytes = sizeBytes;
  if (last.endOffset <= last.offset) throw badToc(`"${name}" ends before it begins`);
  const hasEmptyChunk = chunks.some((chunk) => chunk.sizeBytes === 0);
  if (last.fileOffset + last.sizeBytes !== sizeBytes || hasEmptyChunk)
    throw badToc(`the chunks of "${name}" do not add up to its size`);
  if (chunks.length === 1) first.digest = digest;
  if (chunks.some((chunk) => chunk.digest === undefined && !chunk.isZeros))
    throw badToc(`a chunk of "${name}" has no digest`);
}

/** Payloads must not overlap, nor reach into the tables. */
function checkPayloads(files: TocFiles, dataEnd: number): void {
  let end = 0;
  for (let index = 0; index < files.length; index++) {
    if (files.startOf(index) < end)
      throw badToc(`the payload of "${files.at(index)!.name}" overlaps another`);
    end = files.endOf(index);
  }
  if (end > dataEnd) throw badToc("a payload reaches beyond the data");
}

function readTarSplitDigest(value: unknown): string | undefined {
  if (value === undefined || value === "") return undefined;
  const match = typeof value === "string" ? /^sha256:([0-9a-f]{64})$/.exec(value) : null;
  if (match === null) throw badToc("its tarSplitDigest is not a sha256 digest");
  return match[1];
}

function badToc(fault: string): AgentError {
  return new AgentError("CHUNKED_BAD_TOC", `Cannot use the table of contents: ${fault}`);
}

function tooLarge(limit: string): AgentError {
  return new AgentError("CHUNKED_TOO_LARGE", `Cannot read a table of contents of more than ${limit}`);
}
