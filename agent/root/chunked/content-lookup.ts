/**
 * Looks up the contents of an archive's files by their number in its TOC: in the store, or fetched meanwhile.
 */

import { isNoDigest, readDigest } from "../../archive/digests.ts";
import type { TocFiles } from "../../archive/zstd-chunked/toc-files.ts";
import type { RebuildAnswers, RebuildQuestion } from "../unpack/messages.ts";
import type { FileContent } from "./file-content.ts";

/** The main thread, which has the store. */
export interface QuestionPeer {
  ask<Kind extends RebuildQuestion["kind"]>(
    question: RebuildQuestion & { kind: Kind },
  ): Promise<RebuildAnswers[Kind]>;
}

/** Values that arrive in any order, and promises for those that have not arrived. */
export class DeferredMap<Key, Value> {
  readonly #values = new Map<Key, Value>();
  readonly #waiting = new Map<Key, PromiseWithResolvers<Value>>();
  #failure: { error: unknown } | undefined;

  get(key: Key): Value | undefined {
    return this.#values.get(key);
  }

  put(key: Key, value: Value): void {
    this.#values.set(key, value);
    this.#waiting.get(key)?.resolve(value);
    this.#waiting.delete(key);
  }

  delete(key: Key): void {
    this.#values.delete(key);
  }

  /** No more values will arrive: rejects all waits, pending and future. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  wait(key: Key): Promise<Value> | Value {
    const value = this.#values.get(key);
    if (value !== undefined) return value;
    if (this.#failure) throw this.#failure.error;
    const waiting = this.#waiting.get(key) ?? Promise.withResolvers<Value>();
    this.#waiting.set(key, waiting);
    return waiting.promise;
  }
}

/** Which of a list of contents the store has, by their number in the list. */
export class StoredContents {
  readonly #verities: Buffer;
  readonly #smalls: ReadonlyMap<number, Uint8Array>;

  constructor({ verities, smalls }: RebuildAnswers["have"]) {
    this.#verities = Buffer.from(verities.buffer, verities.byteOffset, verities.length);
    this.#smalls = new Map(smalls);
  }

  /** `digests`: sha256, 32 bytes each. */
  static async ask(digests: Uint8Array<ArrayBuffer>, peer: QuestionPeer): Promise<StoredContents> {
    return new StoredContents(await peer.ask({ kind: "have", digests }));
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

export class ContentLookup {
  readonly #files: TocFiles;
  readonly #stored: StoredContents;
  /** By sha256 in hex. */
  readonly #fetched = new DeferredMap<string, FileContent>();

  constructor(files: TocFiles, stored: StoredContents) {
    this.#files = files;
    this.#stored = stored;
  }

  has(number: number): boolean {
    return this.#stored.has(number) || this.#fetched.get(this.#files.digestOf(number)) !== undefined;
  }

  /** A fetched content, for all files that have it. */
  put(digest: string, content: FileContent): void {
    this.#fetched.put(digest, content);
  }

  wait(number: number): Promise<FileContent> | FileContent {
    return this.#stored.get(number) ?? this.#fetched.wait(this.#files.digestOf(number));
  }

  /** No more contents will be fetched. */
  fail(error: unknown): void {
    this.#fetched.fail(error);
  }
}
