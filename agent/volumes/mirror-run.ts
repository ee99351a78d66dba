/**
 * What both directions of a mirror share: the listing, the transfers, the report, and which failures concern one file only.
 */
import { AgentError } from "../errors.ts";
import type { Volume } from "../job/volume.ts";
import {
  VOLUME_LOGGED_FILES,
  VOLUME_MAX_OBJECTS,
  VOLUME_TRANSFER_BUFFER_BYTES,
  VOLUME_TRANSFERS_AT_A_TIME,
} from "./limits.ts";
import type { LocalTree } from "./local-files.ts";
import type { MirrorState } from "./mirror-state.ts";
import type { BucketObject, ObjectBucket } from "./object-bucket.ts";
import { findPathFault } from "./object-bucket.ts";

export interface VolumeLog {
  info(line: string): void;
  warn(line: string): void;
}

/** One side of a mirror, opened. */
export interface MirrorEnd {
  bucket: ObjectBucket;
  /** Ends with a slash, or empty. */
  prefix: string;
  /** For the log. */
  location: string;
}

export interface MirrorContext {
  volume: string;
  tree: LocalTree;
  state: MirrorState;
  options: Volume["mirrorOptions"];
  log: VolumeLog;
}

/** Objects below the prefix, by key without it. Throws S3_* errors. */
export async function listObjects(
  { bucket, prefix, location }: MirrorEnd,
  onFault: (key: string, why: string) => void,
  { signal }: { signal: AbortSignal },
): Promise<Map<string, BucketObject>> {
  const objects = new Map<string, BucketObject>();
  let listed = 0;
  for await (const object of bucket.list(prefix, { signal })) {
    const key = object.key.slice(prefix.length);
    // The prefix itself may exist as a directory marker; other keys were not asked for.
    if (!object.key.startsWith(prefix) || key === "") continue;
    const fault = findPathFault(key);
    if (fault === undefined) objects.set(key, object);
    else onFault(object.key, fault);
    if (++listed > VOLUME_MAX_OBJECTS) {
      throw new AgentError(
        "VOLUME_MIRROR_FAILED",
        `Cannot mirror with "${location}": it has more than ${VOLUME_MAX_OBJECTS} objects`,
      );
    }
  }
  return objects;
}

/** Counts the files of one run and logs the first few that were skipped or failed. */
export class MirrorReport {
  files = 0;
  bytes = 0;
  removed = 0;
  readonly #skipped: string[] = [];
  readonly #failures: { key: string; error: Error }[] = [];
  readonly #startedMs = performance.now();
  readonly #action: string;
  readonly #log: VolumeLog;

  /** `action`: `pull volume "x" from "LOCATION"` */
  constructor(action: string, log: VolumeLog) {
    this.#action = action;
    this.#log = log;
  }

  skip(name: string, why: string): void {
    this.#skipped.push(`"${showName(name)}": ${why}`);
  }

  fail(key: string, error: Error): void {
    this.#failures.push({ key, error });
  }

  /** `result`: `pulled from "LOCATION"`. Nothing is logged for a run without changes. */
  logSummary(volume: string, result: string): void {
    if (this.files === 0 && this.removed === 0 && this.#failures.length === 0) return;
    const seconds = ((performance.now() - this.#startedMs) / 1000).toFixed(1);
    const removed = this.removed > 0 ? `, ${this.removed} removed` : "";
    const megabytes = (this.bytes / 1e6).toFixed(1);
    this.#log.info(
      `volume "${volume}": ${this.files} files, ${megabytes} MB ${result} in ${seconds} s${removed}`,
    );
  }

  /** Throws VOLUME_MIRROR_FAILED when a file failed. `logged` holds the lines that this boot has logged already. */
  finish(logged: Set<string>): void {
    const fresh = this.#skipped.filter((line) => !logged.has(line));
    for (const line of fresh) logged.add(line);
    this.#warn(fresh, (line) => `skipped ${line}`);
    this.#warn(this.#failures, ({ key, error }) => `failed for "${showName(key)}": ${error.message}`);
    const [first] = this.#failures;
    if (!first) return;
    const others = this.#failures.length - 1;
    throw new AgentError(
      "VOLUME_MIRROR_FAILED",
      `Cannot ${this.#action}: "${showName(first.key)}" failed: ${first.error.message}${others > 0 ? ` (and ${others} more)` : ""}`,
      { cause: first.error },
    );
  }

  #warn<Item>(items: readonly Item[], format: (item: Item) => string): void {
    for (const item of items.slice(0, VOLUME_LOGGED_FILES))
      this.#log.warn(`${this.#action}: ${format(item)}`);
    const rest = items.length - VOLUME_LOGGED_FILES;
    if (rest > 0) this.#log.warn(`${this.#action}: and ${rest} more`);
  }
}

/** Errors of the S3 client that concern one file only. */
const FILE_CODES = new Set(["S3_BAD_KEY", "S3_FILE_CHANGED", "S3_NO_KEY", "S3_REJECTED", "VOLUME_UNUSABLE"]);
const DISK_CODES = new Set(["ENOSPC", "EDQUOT", "EROFS", "EIO"]);

/** False for failures of the service or the disk, which every other file would meet too. */
export function isFilesOwnFault(error: unknown): error is Error {
  if (error instanceof AgentError) return FILE_CODES.has(error.code);
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  return error instanceof Error && syscall !== undefined && !DISK_CODES.has(code ?? "");
}

/** Transfers files side by side. A failure of one file is counted; a failure of the service or the disk ends all transfers. */
export async function transferFiles<File extends { key: string }>(
  files: readonly File[],
  transfer: (file: File, signal: AbortSignal) => Promise<void>,
  { sizeOf, report, signal }: { sizeOf: (file: File) => number; report: MirrorReport; signal: AbortSignal },
): Promise<void> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  await runBounded(files, sizeOf, async (file) => {
    if (both.aborted) return;
    try {
      await transfer(file, both);
    } catch (error) {
      if (isFilesOwnFault(error)) report.fail(file.key, error);
      else stop.abort(error);
    }
  });
  both.throwIfAborted();
}

/** Limits the number of transfers and their buffers; an item larger than the buffers runs alone. `run` must not reject. */
export async function runBounded<Item>(
  items: Iterable<Item>,
  sizeOf: (item: Item) => number,
  run: (item: Item) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let heldBytes = 0;
  try {
    for (const item of items) {
      const sizeBytes = Math.min(sizeOf(item), VOLUME_TRANSFER_BUFFER_BYTES);
      while (
        running.size >= VOLUME_TRANSFERS_AT_A_TIME ||
        (running.size > 0 && heldBytes + sizeBytes > VOLUME_TRANSFER_BUFFER_BYTES)
      )
        await Promise.race(running);
      heldBytes += sizeBytes;
      const work: Promise<void> = run(item).finally(() => {
        running.delete(work);
        heldBytes -= sizeBytes;
      });
      running.add(work);
    }
  } finally {
    await Promise.allSettled(running);
  }
}

/** Escaped, because a name may contain a line end. */
function showName(name: string): string {
  return JSON.stringify(name.toWellFormed()).slice(1, -1);
}
