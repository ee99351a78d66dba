/**
 * Messages between the main thread (pool.ts) and an unpacking worker (unpack-worker.ts).
 * Buffers are transferred and come back empty: only their holder uses them, and their number bounds the memory.
 */

import type { ByteRange } from "../../archive/byte-range.ts";
import type { StagedObjects } from "../../composefs/object-repository.ts";
import { AgentError, type ErrorCode, toAgentError } from "../../errors.ts";

export interface UnpackJob {
  /**
   * layer: applies whiteouts and replaces existing files. artifact: keeps existing directories of the root.
   * objects: stores contents of files without their paths.
   */
  kind: "layer" | "artifact" | "objects";
  /** No path of the archive leads out of this directory. For objects: where they are staged. */
  rootPath: string;
  /** Where in the root the archive is unpacked. */
  to: string;
  digest?: string;
  diffId?: string;
  sizeBytes?: number;
  /** Objects: also take each file's sha256, for later partial pulls. */
  indexesFiles?: boolean;
}

/**
 * Rebuilds an archive from stored objects and ranges of a zstd:chunked blob, which are sent as range-framing.ts frames them.
 */
export interface RebuildJob {
  kind: "parts";
  /** Where objects are staged. */
  rootPath: string;
  objectsDir: string;
  to: string;
  digest?: string;
  diffId?: string;
  blobBytes: number;
  /** End of the data frames in the blob. */
  dataEnd: number;
  /** Compressed; verified where the manifest or the job has its digest. */
  toc: Uint8Array;
  /** Compressed; the TOC contains its digest. */
  tarSplit?: Uint8Array;
  /** Bytes already fetched, for the tables. */
  spentBytes: number;
  /** Only content that the TOC vouches for may be used, and there is no full download to fall back to. */
  isTableBound: boolean;
}

/** What a rebuilding worker asks the main thread. */
export type RebuildQuestion =
  /** Which of these sha256 digests, 32 bytes each, are stored? */
  | { kind: "have"; digests: Uint8Array<ArrayBuffer> }
  /** TOCs of other archives, to search for chunks of missing files. */
  | { kind: "tables" }
  /** Send these ranges, none when the choice is a full download. */
  | { kind: "fetch"; plan: RebuildPlan };

export interface RebuildAnswers {
  have: KnownFiles;
  /** Compressed. */
  tables: Uint8Array[];
  fetch: undefined;
}
export type RebuildAnswer = RebuildAnswers[keyof RebuildAnswers];

export interface KnownFiles {
  /** fs-verity digests in the order of the question, 32 zeros for a missing one. */
  verities: Uint8Array;
  /** Contents of small files, by their index in the question. */
  smalls: [index: number, content: Uint8Array][];
}

export interface RebuildPlan {
  choice: "partial" | "whole";
  /** For the log. */
  reason: string;
  ranges: ByteRange[];
  /** Bytes of the ranges, without the tables. */
  rangeBytes: number;
  requests: number;
  /** Files with content. */
  files: number;
  missingFiles: number;
}

export interface UnpackResult {
  files: number;
  contentBytes: number;
  /** Of a directory. */
  directory?: UnpackedDirectory;
  warnings: string[];
  /** Objects: the tree and the staged objects. */
  collected?: CollectedArchive | undefined;
}

export interface UnpackedDirectory {
  /** The archive describes its root directory. */
  hasRoot: boolean;
  /** Layer: hides all layers below. */
  isRootOpaque: boolean;
  /** Layer: directories of members that are not members themselves; latin1 paths. */
  impliedDirectories: string[];
}

export interface CollectedArchive {
  /** Digest of the uncompressed tar. */
  diffId: string;
  /** In the format of composefs/layer-tree.ts. */
  tree: Uint8Array;
  staged: StagedObjects;
}

export type WorkerJob = UnpackJob | RebuildJob;

export type ToWorker =
  | { type: "start"; job: WorkerJob }
  | { type: "answer"; answer: RebuildAnswer }
  | { type: "chunk"; bytes: Uint8Array<ArrayBuffer>; length: number }
  | { type: "end" }
  | { type: "cancel" }
  /** Ends the thread; sent while it has no job. */
  | { type: "leave" };

export type FromWorker =
  | { type: "consumed"; bytes: Uint8Array<ArrayBuffer>; bytesOut: number; files: number }
  | { type: "ask"; question: RebuildQuestion }
  | { type: "done"; result: UnpackResult; bytesOut: number }
  | { type: "failed"; error: ErrorRecord };

export interface ErrorRecord {
  code: ErrorCode;
  message: string;
  hint: string;
  context: AgentError["context"];
  stack: string | undefined;
}

export function toErrorRecord(thrown: unknown): ErrorRecord {
  const error = toAgentError(thrown);
  const { stack } = thrown instanceof Error ? thrown : error;
  return { code: error.code, message: error.message, hint: error.hint, context: error.context, stack };
}

export function fromErrorRecord({ code, message, hint, context, stack }: ErrorRecord): AgentError {
  const cause = new Error(message);
  if (stack) cause.stack = stack;
  return new AgentError(code, message, { hint, context, cause });
}
