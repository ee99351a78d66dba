/**
 * What the main thread and an unpacking worker say to each other (unpack-pool.ts, unpack-worker.ts).
 * Buffers travel by transfer and come back empty: whoever holds one may use it, and their number bounds the memory.
 */

import type { StagedObject } from "../composefs/object-keeper.ts";
import { AgentError, type ErrorCode, toAgentError } from "../errors.ts";

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
  /** As composefs/layer-tree.ts encodes it. */
  tree: Uint8Array;
  staged: StagedObject[];
}

export type ToWorker =
  | { type: "start"; job: UnpackJob }
  | { type: "chunk"; bytes: Uint8Array<ArrayBuffer>; length: number }
  | { type: "end" }
  | { type: "cancel" };

export type FromWorker =
  | { type: "consumed"; bytes: Uint8Array<ArrayBuffer>; bytesOut: number; files: number }
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
