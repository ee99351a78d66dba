/**
 * What the main thread and an unpacking worker say to each other (unpack-pool.ts, unpack-worker.ts).
 * Buffers travel by transfer and come back empty: whoever holds one may use it, and their number bounds the memory.
 */

import type { ByteRange } from "../../archive/byte-range.ts";
import type { StagedObjects } from "../../composefs/object-repository.ts";
import { AgentError, type ErrorCode, toAgentError } from "../../errors.ts";

export interface UnpackJob {
  /**
   * A layer obeys whiteouts and replaces what it meets; an artifact leaves directories of the root as they are;
   * objects are what the archive's files hold, without its paths.
   */
  kind: "layer" | "artifact" | "objects";
  /** No path of the archive leads out of this directory. For objects: the folder they are staged in. */
  rootPath: string;
  /** Where in the root the archive's own root is. */
  to: string;
  digest?: string;
  diffId?: string;
  sizeBytes?: number;
  /** Objects: take each file's sha256 as well, for pulls in parts to come. */
  indexesFiles?: boolean;
}

/**
 * An archive to be put together of objects that are here and of parts of a zstd:chunked blob, which then come
 * as part-stream.ts frames them.
 */
export interface RebuildJob {
  kind: "parts";
  /** The folder that objects are staged in. */
  rootPath: string;
  objectsDir: string;
  to: string;
  digest?: string;
  diffId?: string;
  blobBytes: number;
  /** The frames of data end here. */
  dataEnd: number;
  /** Compressed; its digest has been checked where anybody promised one. */
  toc: Uint8Array;
  /** Compressed; the table says its digest. */
  tarSplit?: Uint8Array;
  /** Of the tables, already fetched. */
  spentBytes: number;
  /** Only what the table vouches for may be used, and the whole is no way out. */
  isTableBound: boolean;
}

/** What a rebuilding worker asks in the middle of its work. */
export type RebuildQuestion =
  /** Which of these sha256 digests, 32 bytes each, are here? */
  | { kind: "have"; digests: Uint8Array<ArrayBuffer> }
  /** Where else may there be chunks of files that are not? */
  | { kind: "tables" }
  /** Send the ranges, please; nothing will be asked for where the choice is to take the whole. */
  | { kind: "fetch"; plan: RebuildPlan };

export interface RebuildAnswers {
  have: KnownFiles;
  /** Tables of contents of other archives, compressed. */
  tables: Uint8Array[];
  fetch: undefined;
}
export type RebuildAnswer = RebuildAnswers[keyof RebuildAnswers];

export interface KnownFiles {
  /** fs-verity digests in the order of the question, 32 zeros where there is none. */
  verities: Uint8Array;
  /** By index of the question. */
  smalls: [index: number, content: Uint8Array][];
}

export interface RebuildPlan {
  choice: "partial" | "whole";
  /** For people. */
  reason: string;
  ranges: ByteRange[];
  /** What the ranges transfer, tables not included. */
  rangeBytes: number;
  requests: number;
  /** With content. */
  files: number;
  missingFiles: number;
}

export interface UnpackResult {
  files: number;
  contentBytes: number;
  /** The archive says of its root directory what owner and mode it has. */
  hasRoot: boolean;
  /** Layer: nothing of the layers below is to be seen. */
  isRootOpaque: boolean;
  /** Layer: directories that members lie in, but that are no members themselves; latin1 paths. */
  impliedDirectories: string[];
  warnings: string[];
  /** Objects: what the archive was taken apart into. */
  collected?: CollectedArchive;
}

export interface CollectedArchive {
  /** Digest of the uncompressed tar. */
  diffId: string;
  /** As composefs/layer-tree.ts writes it. */
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
  /** The thread ends, once nothing is under way in it. */
  | { type: "leave" };

export type FromWorker =
  | { type: "consumed"; bytes: Uint8Array<ArrayBuffer>; bytesOut: number; files: number }
  | { type: "ask"; question: RebuildQuestion }
  /** What the tree will be, unless what is still to be checked is found wrong. */
  | { type: "tree"; tree: Uint8Array }
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
