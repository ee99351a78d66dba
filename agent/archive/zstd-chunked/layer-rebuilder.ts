/**
 * Puts a layer's tar together again from its headers and its files' contents, to take its DiffID and its entries.
 * The entries come from the tar headers that the DiffID covers, so the table of contents is believed in nothing.
 */

import { createHash } from "node:crypto";
import { AgentError } from "../../errors.ts";
import type { ByteRange } from "../byte-range.ts";
import type { TarEntry } from "../tar-entry.ts";
import { findHeaderRanges } from "./plan-ranges.ts";
import { RawTarWalker } from "./raw-tar-walker.ts";
import { toTableName } from "./table-names.ts";
import type { TarSplitItem } from "./tar-split.ts";
import type { Toc } from "./toc.ts";
import type { TocFile } from "./toc-entry.ts";

/** What comes next in the tar. */
export type RebuildStep =
  /** Good until the next step. */
  | { kind: "literal"; bytes: Buffer }
  /** Frames of the blob whose plain bytes are literals. */
  | { kind: "headers"; range: ByteRange }
  /** `number` is the file's in the table. */
  | { kind: "content"; file: TocFile; number: number };

/**
 * The steps that a tar-split gives. Contents stand in the blob in the order of the tar.
 * Throws CHUNKED_BAD_TAR_SPLIT where table and tar-split do not agree.
 */
export function* planFromTarSplit(toc: Toc, items: Iterable<TarSplitItem>): Generator<RebuildStep> {
  let number = 0;
  let file = toc.files.at(number);
  for (const item of items) {
    if (item.kind === "literal") {
      yield item;
      continue;
    }
    // Hard links may state a size, and have no content all the same.
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

/** The steps without a tar-split: what lies between the contents are the frames of headers. */
export function* planFromHeaderFrames(toc: Toc, dataEnd: number): Generator<RebuildStep> {
  const ranges = findHeaderRanges(toc, dataEnd);
  let next = 0;
  for (let number = 0; number < toc.files.length; number++) {
    if (ranges[next] !== undefined && ranges[next]!.start < toc.files.startOf(number)) {
      yield { kind: "headers", range: ranges[next]! };
      next++;
    }
    yield { kind: "content", file: toc.files.at(number)!, number };
  }
  if (ranges[next] !== undefined) yield { kind: "headers", range: ranges[next]! };
}

export interface RebuiltEntry {
  entry: TarEntry;
  /** Of a file with content: its entry in the table, whose digest has been checked. */
  file: TocFile | undefined;
}

/** Takes the sha256 of the tar; `finish` gives it as `sha256:…`. */
export interface TarHash {
  update(bytes: Uint8Array): void;
  finish(): string;
}

function createTarHash(): TarHash {
  const hash = createHash("sha256");
  return { update: (bytes) => void hash.update(bytes), finish: () => `sha256:${hash.digest("hex")}` };
}

/** Feed it in the order of the steps. Throws ARCHIVE_CORRUPT and its like, and CHUNKED_BAD_TOC. */
export class LayerRebuilder {
  readonly #hash: TarHash;
  readonly #walker: RawTarWalker;
  readonly #onEntry: (entry: RebuiltEntry) => void;
  #pending: TarEntry | undefined;
  #contentBytes = 0;
  #file: TocFile | undefined;
  #tarBytes = 0;

  constructor(onEntry: (entry: RebuiltEntry) => void, hash: TarHash = createTarHash()) {
    this.#hash = hash;
    this.#onEntry = onEntry;
    const refuse = () => {
      throw new AgentError("CHUNKED_BAD_TOC", "Cannot rebuild the layer: a content stands among its headers");
    };
    this.#walker = new RawTarWalker({
      onLiteral: () => {},
      onMember: ({ entry }) => {
        if (entry.sizeBytes > 0) this.#pending = entry;
        else this.#onEntry({ entry, file: undefined });
      },
      onContent: refuse,
      onMemberEnd: () => {},
    });
  }

  addLiteral(bytes: Buffer): void {
    this.#hash.update(bytes);
    this.#tarBytes += bytes.length;
    this.#walker.feed(bytes);
  }

  /** The content of the file whose header came last; then `addContent` or `passContent`, then `endContent`. */
  startContent(file: TocFile): void {
    if (!this.#walker.awaitsContent || this.#pending?.sizeBytes !== file.sizeBytes) {
      throw new AgentError(
        "CHUNKED_BAD_TOC",
        `Cannot rebuild the layer: "${file.name}" is not what its header says`,
      );
    }
    this.#file = file;
    this.#contentBytes = 0;
  }

  addContent(bytes: Uint8Array): void {
    this.#hash.update(bytes);
    this.#contentBytes += bytes.length;
  }

  /** The whole content goes into the hash by another way, which sees to its size. */
  passContent(): void {
    this.#contentBytes = this.#file!.sizeBytes;
  }

  endContent(): void {
    const file = this.#file!;
    if (this.#contentBytes !== file.sizeBytes) {
      throw new AgentError(
        "CHUNKED_BAD_TOC",
        `Cannot rebuild the layer: "${file.name}" has ${this.#contentBytes} bytes`,
      );
    }
    this.#tarBytes += this.#contentBytes;
    const entry = this.#pending!;
    this.#pending = undefined;
    this.#onEntry({ entry, file });
    this.#walker.skipContent();
  }

  /** `sha256:…` of the tar, to be compared with the image config's. */
  finish(): { diffId: string; tarBytes: number } {
    this.#walker.finish();
    return { diffId: this.#hash.finish(), tarBytes: this.#tarBytes };
  }
}
