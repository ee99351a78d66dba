/**
 * Rebuilds a layer's tar from its headers and its files' contents, to compute its DiffID and read its entries.
 * The entries come from the tar headers, which the DiffID covers; nothing that only the TOC says is trusted.
 */

import { AgentError } from "../../errors.ts";
import type { ByteRange } from "../byte-range.ts";
import type { TarMember } from "../tar-entry.ts";
import { TarReader } from "../tar-reader.ts";
import { findHeaderRanges } from "./plan-ranges.ts";
import { type TarSplitItem, toTableName } from "./tar-split.ts";
import type { Toc } from "./toc.ts";
import type { TocFile } from "./toc-entry.ts";

/** What comes next in the tar. */
export type RebuildStep =
  /** Valid until the next step. */
  | { kind: "literal"; bytes: Buffer }
  /** Frames of the blob whose plain bytes are literals. */
  | { kind: "headers"; range: ByteRange }
  /** `number` is the file's index in the TOC. */
  | { kind: "content"; file: TocFile; number: number };

/**
 * The steps by a tar-split. Contents are in the blob in the order of the tar.
 * Throws CHUNKED_BAD_TAR_SPLIT where the TOC and the tar-split do not agree.
 */
export function* planFromTarSplit(toc: Toc, items: Iterable<TarSplitItem>): Generator<RebuildStep> {
  let number = 0;
  let file = toc.files.at(number);
  for (const item of items) {
    if (item.kind === "literal") {
      yield item;
      continue;
    }
    // Some members have a size but no content, hard links for example.
    if (file === undefined || item.sizeBytes !== file.sizeBytes || toTableName(item.name) !== file.name)
      continue;
    yield { kind: "content", file, number };
    file = toc.files.at(++number);
  }
  if (file === undefined) return;
  throw new AgentError(
    "CHUNKED_BAD_TAR_SPLIT",
    `Cannot rebuild the layer: its tar-split has no "${file.name}"`,
  );
}

/** The steps without a tar-split: the frames between the contents are headers. */
export function* planFromHeaderFrames(toc: Toc, dataEnd: number): Generator<RebuildStep> {
  const ranges = findHeaderRanges(toc, dataEnd);
  let next = 0;
  for (let number = 0; number < toc.files.length; number++) {
    const range = ranges[next];
    if (range !== undefined && range.start < toc.files.startOf(number)) {
      yield { kind: "headers", range };
      next++;
    }
    yield { kind: "content", file: toc.files.at(number)!, number };
  }
  if (next < ranges.length) yield { kind: "headers", range: ranges[next]! };
}

export interface RebuiltEntry {
  entry: TarMember;
  /** The file in the TOC, for an entry with content. */
  file: TocFile | undefined;
}

/** Computes the sha256 of the tar; `finish` returns it as `sha256:…`. */
export interface TarHash {
  update(bytes: Uint8Array): void;
  finish(): string;
}

/** Takes the tar in the order of the steps. Throws ARCHIVE_… errors of bad headers, and CHUNKED_BAD_TOC. */
export class LayerRebuilder {
  readonly #hash: TarHash;
  readonly #reader: TarReader;
  readonly #onEntry: (entry: RebuiltEntry) => void;
  /** The member whose content is next. */
  #pending: TarMember | undefined;
  #contentBytes = 0;
  /** The next region of a sparse file. */
  #region = 0;
  #file: TocFile | undefined;
  #tarBytes = 0;

  constructor(onEntry: (entry: RebuiltEntry) => void, hash: TarHash) {
    this.#hash = hash;
    this.#onEntry = onEntry;
    this.#reader = new TarReader({
      onEntry: (entry) => {
        if (this.#pending !== undefined) throw cannotRebuild("a content is missing");
        if (entry.sizeBytes > 0) this.#pending = entry;
        else this.#onEntry({ entry, file: undefined });
      },
      onContent: () => {
        throw cannotRebuild("there is content among its headers");
      },
      onHole: () => {},
      onEntryEnd: () => {},
    });
  }

  addLiteral(bytes: Buffer): void {
    this.#hash.update(bytes);
    this.#tarBytes += bytes.length;
    this.#reader.write(bytes);
  }

  /** Begins the content of the file whose header came last; `addContent` or `passContent` and `endContent` follow. */
  startContent(file: TocFile): void {
    if (this.#pending?.sizeBytes !== file.sizeBytes)
      throw cannotRebuild(`its header of "${file.name}" differs from its TOC`);
    this.#file = file;
    this.#contentBytes = 0;
    this.#region = 0;
  }

  /** The tar does not have all of the content. */
  get isSparse(): boolean {
    return this.#pending?.regions !== undefined;
  }

  addContent(bytes: Uint8Array): void {
    const regions = this.#pending!.regions ?? [{ offset: 0, sizeBytes: this.#file!.sizeBytes }];
    const start = this.#contentBytes;
    const end = start + bytes.length;
    for (; this.#region < regions.length; this.#region++) {
      const { offset, sizeBytes } = regions[this.#region]!;
      const data = bytes.subarray(Math.max(offset - start, 0), Math.max(offset + sizeBytes - start, 0));
      this.#hash.update(data);
      this.#tarBytes += data.length;
      if (offset + sizeBytes > end) break;
    }
    this.#contentBytes = end;
  }

  /** The whole content was given to the hash directly, which checks its size. */
  passContent(): void {
    this.#contentBytes = this.#file!.sizeBytes;
    this.#tarBytes += this.#contentBytes;
  }

  endContent(): void {
    const file = this.#file!;
    if (this.#contentBytes !== file.sizeBytes)
      throw cannotRebuild(`"${file.name}" has ${this.#contentBytes} bytes, not ${file.sizeBytes}`);
    const entry = this.#pending!;
    this.#pending = undefined;
    this.#onEntry({ entry, file });
    // A sparse file without data has no content in the tar.
    if (this.#reader.awaitsContent) this.#reader.skipContent();
  }

  /** `diffId` is `sha256:…` of the tar, to be compared with the image config's. */
  finish(): { diffId: string; tarBytes: number } {
    if (this.#pending !== undefined) throw cannotRebuild("a content is missing");
    this.#reader.end();
    return { diffId: this.#hash.finish(), tarBytes: this.#tarBytes };
  }
}

function cannotRebuild(fault: string): AgentError {
  return new AgentError("CHUNKED_BAD_TOC", `Cannot rebuild the layer: ${fault}`);
}
