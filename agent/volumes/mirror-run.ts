/**
 * What both directions of a mirror share: where they go, what is counted and told, which failures are one file's own.
 */
import { AgentError } from "../errors.ts";
import type { Volume } from "../job/volume.ts";
import { VOLUME_MAX_OBJECTS, VOLUME_TOLD_FILES } from "./limits.ts";
import type { LocalTree } from "./local-files.ts";
import type { MirrorState } from "./mirror-state.ts";
import type { BucketObject, ObjectBucket } from "./object-bucket.ts";
import { findPathFault, isExcluded } from "./object-key.ts";

export interface VolumeLog {
  info(line: string): void;
  warn(line: string): void;
}

/** One side of a mirror, opened. */
export interface MirrorEnd {
  bucket: ObjectBucket;
  /** With a slash at its end, or empty. */
  prefix: string;
  /** For the log. */
  place: string;
}

export interface MirrorContext {
  volume: string;
  tree: LocalTree;
  state: MirrorState;
  options: Volume["mirrorOptions"];
  log: VolumeLog;
}

/** Objects below the prefix by key without it. Throws S3_* errors, and then nothing of the listing counts. */
export async function listPlace(
  { bucket, prefix, place }: MirrorEnd,
  onFault: (key: string, why: string) => void,
  { signal }: { signal: AbortSignal },
): Promise<Map<string, BucketObject>> {
  const objects = new Map<string, BucketObject>();
  let listed = 0;
  for await (const object of bucket.list(prefix, { signal })) {
    const key = object.key.slice(prefix.length);
    // The prefix itself, as a directory's mark; what does not begin with it was not asked for.
    if (!object.key.startsWith(prefix) || key === "") continue;
    const fault = findPathFault(key);
    if (fault === undefined) objects.set(key, object);
    else onFault(object.key, fault);
    if (++listed > VOLUME_MAX_OBJECTS) {
      throw new AgentError(
        "VOLUME_MIRROR_FAILED",
        `Cannot mirror with "${place}": it has more than ${VOLUME_MAX_OBJECTS} objects`,
      );
    }
  }
  return objects;
}

/** Counts one run, and tells the first few of everything that is not as the job would have it. */
export class MirrorReport {
  files = 0;
  bytes = 0;
  removed = 0;
  readonly #leftOut: string[] = [];
  readonly #failures: { key: string; error: Error }[] = [];
  readonly #what: string;
  readonly #log: VolumeLog;

  /** `what`: `pull volume "x" from "s3 place"` */
  constructor(what: string, log: VolumeLog) {
    this.#what = what;
    this.#log = log;
  }

  leaveOut(name: string, why: string): void {
    this.#leftOut.push(`"${showName(name)}": ${why}`);
  }

  fail(key: string, error: Error): void {
    this.#failures.push({ key, error });
  }

  get isEmpty(): boolean {
    return this.files === 0 && this.removed === 0 && this.#failures.length === 0;
  }

  /** Throws VOLUME_MIRROR_FAILED when a file failed; `told` remembers what needs no second word in this boot. */
  finish(told: Set<string>): void {
    const fresh = this.#leftOut.filter((line) => !told.has(line));
    for (const line of fresh) told.add(line);
    this.#tell(fresh, (line) => `left out ${line}`);
    this.#tell(this.#failures, ({ key, error }) => `failed for "${showName(key)}": ${error.message}`);
    const [first] = this.#failures;
    if (!first) return;
    const others = this.#failures.length - 1;
    throw new AgentError(
      "VOLUME_MIRROR_FAILED",
      `Cannot ${this.#what}: "${showName(first.key)}" failed: ${first.error.message}${others > 0 ? ` (and ${others} more)` : ""}`,
      { cause: first.error },
    );
  }

  #tell<Item>(items: readonly Item[], format: (item: Item) => string): void {
    for (const item of items.slice(0, VOLUME_TOLD_FILES)) this.#log.warn(`${this.#what}: ${format(item)}`);
    const rest = items.length - VOLUME_TOLD_FILES;
    if (rest > 0) this.#log.warn(`${this.#what}: and ${rest} more`);
  }
}

/** Of the S3 client's errors, those that say nothing of the next file. */
const FILE_CODES = new Set(["S3_BAD_KEY", "S3_FILE_CHANGED", "S3_NO_KEY", "S3_REJECTED", "VOLUME_UNUSABLE"]);
const DISK_CODES = new Set(["ENOSPC", "EDQUOT", "EROFS", "EIO"]);

/** Whether the other files may still do well: not when the service is away or the disk is full. */
export function isFilesOwnFault(error: unknown): error is Error {
  if (error instanceof AgentError) return FILE_CODES.has(error.code);
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  return error instanceof Error && syscall !== undefined && !DISK_CODES.has(code ?? "");
}

export function isLeftAlone(key: string, { exclude }: Volume["mirrorOptions"]): boolean {
  return isExcluded(key, exclude);
}

/** Names are any bytes: the log's lines must stay lines. */
function showName(name: string): string {
  return JSON.stringify(name.toWellFormed()).slice(1, -1);
}
