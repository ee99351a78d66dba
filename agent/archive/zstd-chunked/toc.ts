/**
 * The table of contents of a zstd:chunked blob: what is in it and which compressed bytes are whose.
 * Follows containers/storage's format, version 1; every field is hostile until it has been through here.
 */

import { AgentError } from "../../errors.ts";
import { TOC_MAX_BYTES, TOC_MAX_ENTRIES } from "../limits.ts";
import { JsonEntriesReader } from "./json-entries.ts";
import { parseTocEntry, type TocFile, type TocRecord } from "./toc-entry.ts";
import { TocFiles } from "./toc-files.ts";

export interface Toc {
  /** Those with content, in the order of their bytes in the blob, which is that of the tar. */
  files: TocFiles;
  /** Of all kinds. */
  entryCount: number;
  /** sha256 (hex) of the compressed tar-split; absent: a tar-split that is there must not be trusted. */
  tarSplitDigest: string | undefined;
}

export interface TocLimits {
  /** Where payloads must end: the start of the frame that holds the table. */
  dataEnd: number;
  maxBytes?: number;
  maxEntries?: number;
}

/** Takes the decompressed table in pieces; holds one entry at a time beside the result. */
export class TocReader {
  readonly #limits: TocLimits;
  readonly #json: JsonEntriesReader;
  readonly #files = new TocFiles();
  #entryCount = 0;
  #plainBytes = 0;
  /** The file that chunks may follow. */
  #file: TocFile | undefined;

  constructor(limits: TocLimits) {
    this.#limits = limits;
    this.#json = new JsonEntriesReader("entries", (element) => this.#addRecord(element));
  }

  /** Throws CHUNKED_BAD_TOC or CHUNKED_TOO_LARGE. */
  push(chunk: Buffer): void {
    this.#plainBytes += chunk.length;
    const maxBytes = this.#limits.maxBytes ?? TOC_MAX_BYTES;
    if (this.#plainBytes > maxBytes) {
      throw new AgentError("CHUNKED_TOO_LARGE", `Cannot read a table of contents of over ${maxBytes} bytes`);
    }
    this.#json.push(chunk);
  }

  /** Throws CHUNKED_BAD_TOC. */
  finish(): Toc {
    const frame = this.#json.finish();
    if (typeof frame !== "object" || frame === null) throw badToc("it is no object");
    const { version, entries, tarSplitDigest } = frame as Record<string, unknown>;
    if (version !== 1) throw badToc(`its version is ${String(version)}, not 1`);
    if (!Array.isArray(entries) && entries !== null) throw badToc("it has no entries");
    this.#endFile();
    const files = this.#files.sort();
    checkPayloads(files, this.#limits.dataEnd);
    return { files, entryCount: this.#entryCount, tarSplitDigest: readTarSplitDigest(tarSplitDigest) };
  }

  #addRecord(element: unknown): void {
    const maxEntries = this.#limits.maxEntries ?? TOC_MAX_ENTRIES;
    if (this.#entryCount >= maxEntries) {
      throw new AgentError(
        "CHUNKED_TOO_LARGE",
        `Cannot read a table of contents of over ${maxEntries} entries`,
      );
    }
    const record = parseTocEntry(element);
    if (record.kind === "chunk") {
      addChunk(this.#file, record);
      return;
    }
    this.#endFile();
    this.#entryCount++;
    this.#file = record.kind === "file" ? record.file : undefined;
  }

  #endFile(): void {
    if (this.#file === undefined) return;
    finishFile(this.#file);
    this.#files.add(this.#file);
    this.#file = undefined;
  }
}

/** The whole table at once, for those who have it in memory. Throws CHUNKED_BAD_TOC or CHUNKED_TOO_LARGE. */
export function parseToc(plain: Buffer, limits: TocLimits): Toc {
  const reader = new TocReader(limits);
  reader.push(plain);
  return reader.finish();
}

function addChunk(file: TocFile | undefined, chunk: Extract<TocRecord, { kind: "chunk" }>): void {
  const last = file?.chunks.at(-1);
  if (file === undefined || last === undefined || file.name !== chunk.name) {
    throw badToc(`the chunk of "${chunk.name}" does not follow its file`);
  }
  if (chunk.offset <= last.offset || chunk.fileOffset !== last.fileOffset + last.sizeBytes) {
    throw badToc(`the chunks of "${chunk.name}" do not follow each other`);
  }
  const { endOffset } = last;
  last.endOffset = chunk.offset;
  file.chunks.push({
    offset: chunk.offset,
    endOffset,
    fileOffset: chunk.fileOffset,
    sizeBytes: chunk.sizeBytes,
    digest: chunk.digest,
    isZeros: chunk.isZeros,
  });
}

/** All chunks are there now: do they make up the file? */
function finishFile(file: TocFile): void {
  const first = file.chunks[0]!;
  const last = file.chunks.at(-1)!;
  // A file in one piece has no chunk fields; one in several has them from the first on.
  if (file.chunks.length === 1 && first.sizeBytes === 0) first.sizeBytes = file.sizeBytes;
  if (last.endOffset <= last.offset) throw badToc(`"${file.name}" ends before it begins`);
  if (
    last.fileOffset + last.sizeBytes !== file.sizeBytes ||
    file.chunks.some(({ sizeBytes }) => sizeBytes === 0)
  ) {
    throw badToc(`the chunks of "${file.name}" do not add up to its size`);
  }
  if (file.chunks.length === 1) first.digest = file.digest;
  if (file.chunks.some(({ digest, isZeros }) => digest === undefined && !isZeros)) {
    throw badToc(`a chunk of "${file.name}" has no digest`);
  }
}

/** No two payloads share bytes, and none reaches into the tables. */
function checkPayloads(files: TocFiles, dataEnd: number): void {
  let end = 0;
  for (let file = 0; file < files.length; file++) {
    if (files.startOf(file) < end) throw badToc(`the payload of "${files.at(file)!.name}" overlaps another`);
    end = files.endOf(file);
  }
  if (end > dataEnd) throw badToc("a payload reaches beyond the data");
}

function readTarSplitDigest(value: unknown): string | undefined {
  if (value === undefined || value === "") return undefined;
  const match = typeof value === "string" ? /^sha256:([0-9a-f]{64})$/.exec(value) : null;
  if (match === null) throw badToc("its tarSplitDigest is no sha256 digest");
  return match[1];
}

function badToc(fault: string): AgentError {
  return new AgentError("CHUNKED_BAD_TOC", `Cannot use the table of contents: ${fault}`);
}
