/**
 * The table of contents (TOC) of a zstd:chunked blob: which files it holds and where their compressed bytes are.
 * Follows containers/storage's format, version 1. Nothing in it is trusted before it was checked here.
 */

import { isUtf8 } from "node:buffer";
import { AgentError } from "../../errors.ts";
import { TOC_BATCH_MAX_BYTES, TOC_MAX_BYTES, TOC_MAX_ENTRIES } from "../limits.ts";
import { parseTocEntry, type TocFile, type TocRecord } from "./toc-entry.ts";
import { TocFiles } from "./toc-files.ts";

const ENTRY_BOUNDARY = '},{"type":';
const BATCH_BYTES = 256 * 1024;

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

function badToc(fault: string, cause?: unknown): AgentError {
  return new AgentError("CHUNKED_BAD_TOC", `Cannot use the table of contents: ${fault}`, { cause });
}

function tooLarge(limit: string): AgentError {
  return new AgentError("CHUNKED_TOO_LARGE", `Cannot read a table of contents of more than ${limit}`);
}

/**
 * Parses the JSON in batches of entries: for 100,000 files it is 50 MB, which parsed at once would not fit the agent's memory. The
 * text is cut between two entries as Go prints them; the batches must be valid JSON themselves, so a cut elsewhere is an error. A
 * TOC that is printed in another way is parsed at once, which works for a small one.
 */
class TocJsonReader {
  readonly #onEntry: (entry: unknown) => void;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Fields of the TOC that come before the second batch. */
  #head: Record<string, unknown> | undefined;

  constructor(onEntry: (entry: unknown) => void) {
    this.#onEntry = onEntry;
  }

  /** Throws CHUNKED_BAD_TOC, and what `onEntry` throws. */
  push(chunk: Buffer): void {
    this.#chunks.push(Buffer.from(chunk));
    this.#bytes += chunk.length;
    if (this.#bytes < BATCH_BYTES) return;
    const bytes = Buffer.concat(this.#chunks);
    const end = bytes.lastIndexOf(ENTRY_BOUNDARY) + 1;
    if (end > 0) this.#parseBatch(bytes.subarray(0, end));
    const rest = bytes.subarray(end === 0 ? 0 : end + 1);
    if (rest.length > TOC_BATCH_MAX_BYTES)
      throw badToc(`it has no boundary between entries within ${TOC_BATCH_MAX_BYTES} bytes`);
    this.#chunks = [rest];
    this.#bytes = rest.length;
  }

  /** The TOC's fields; `entries` is not all of them. Throws CHUNKED_BAD_TOC, and what `onEntry` throws. */
  finish(): Record<string, unknown> {
    const rest = Buffer.concat(this.#chunks);
    if (this.#head === undefined) return this.#takeHead(parseJson("", rest, ""));
    const { rest: entries, ...tail } = parseJson('{"rest":[', rest, "") as Record<string, unknown>;
    if ("entries" in tail) throw badToc("it has two lists of entries");
    this.#emit(entries);
    return { ...this.#head, ...tail };
  }

  #parseBatch(bytes: Buffer): void {
    if (this.#head !== undefined) this.#emit(parseJson("[", bytes, "]"));
    else this.#head = this.#takeHead(parseJson("", bytes, "]}"));
  }

  #takeHead(head: unknown): Record<string, unknown> {
    if (typeof head !== "object" || head === null) throw badToc("it is not an object");
    const { entries } = head as Record<string, unknown>;
    if (entries !== null) this.#emit(entries);
    return head as Record<string, unknown>;
  }

  #emit(entries: unknown): void {
    if (!Array.isArray(entries)) throw badToc("it has no list of entries");
    for (const entry of entries) this.#onEntry(entry);
  }
}

function parseJson(before: string, bytes: Buffer, after: string): unknown {
  if (!isUtf8(bytes)) throw badToc("it is not UTF-8");
  try {
    return JSON.parse(`${before}${bytes.toString("utf8")}${after}`);
  } catch (cause) {
    throw badToc((cause as Error).message, cause);
  }
}
