/**
 * Where the contents of an archive's files are, by the files' numbers in its table: here from the start, or fetched.
 */

import { isNoDigest, readDigest } from "../../archive/digest-table.ts";
import type { TocFiles } from "../../archive/zstd-chunked/toc-files.ts";
import type { RebuildAnswers, RebuildQuestion } from "../unpack/messages.ts";
import { DeferredMap } from "./deferred-map.ts";
import type { FileContent } from "./file-content.ts";

/** Asks the main thread, which has the store. */
export interface FileAsker {
  ask<Kind extends RebuildQuestion["kind"]>(
    question: RebuildQuestion & { kind: Kind },
  ): Promise<RebuildAnswers[Kind]>;
}

/** What of a list of contents is here. */
export class KnownContents {
  readonly #verities: Buffer;
  readonly #smalls: ReadonlyMap<number, Uint8Array>;

  constructor({ verities, smalls }: RebuildAnswers["have"]) {
    this.#verities = Buffer.from(verities.buffer, verities.byteOffset, verities.length);
    this.#smalls = new Map(smalls);
  }

  has(number: number): boolean {
    return !isNoDigest(this.#verities, number) || this.#smalls.has(number);
  }

  get(number: number): FileContent | undefined {
    const small = this.#smalls.get(number);
    if (small) return { inline: Buffer.from(small.buffer, small.byteOffset, small.length) };
    return this.has(number) ? { verity: readDigest(this.#verities, number) } : undefined;
  }
}

/** Of contents with these sha256 digests, 32 bytes each, those that are here. */
export async function askForFiles(digests: Uint8Array<ArrayBuffer>, peer: FileAsker): Promise<KnownContents> {
  return new KnownContents(await peer.ask({ kind: "have", digests }));
}

export class ContentLookup {
  readonly #files: TocFiles;
  readonly #known: KnownContents;
  /** By their sha256 in hex. */
  readonly #fetched = new DeferredMap<string, FileContent>();

  constructor(files: TocFiles, known: KnownContents) {
    this.#files = files;
    this.#known = known;
  }

  has(number: number): boolean {
    return this.#known.has(number) || this.#fetched.has(this.#files.digestOf(number));
  }

  get(number: number): FileContent | undefined {
    return this.#known.get(number) ?? this.#fetched.get(this.#files.digestOf(number));
  }

  /** A fetched content, for all files that have it. */
  put(digest: string, content: FileContent): void {
    this.#fetched.put(digest, content);
  }

  wait(number: number): Promise<FileContent> | FileContent {
    return this.#known.get(number) ?? this.#fetched.wait(this.#files.digestOf(number));
  }

  /** Nothing more will come. */
  fail(error: unknown): void {
    this.#fetched.fail(error);
  }
}
