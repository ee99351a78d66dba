/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { MiB } from "../units.ts";

/** Small files cost a round trip each: a few at a time hide it, more would only queue at the service. */
export const VOLUME_TRANSFERS_AT_A_TIME = 8;
/** Of files on their way up, which the S3 client holds whole or in two parts. */
export const VOLUME_TRANSFER_BUFFER_BYTES = 32 * MiB;
/** Of mirrors that follow changes. */
export interface LiveMirrorLimits {
  settleMs: number;
  busyFileMs: number;
  scanShare: number;
  rescanMs: number;
  pollMs: number;
  retryFirstMs: number;
  retryMostMs: number;
}
export const LIVE_MIRROR_LIMITS: LiveMirrorLimits = {
  // Between a change and the look at it, and again until a file is still: what a test writes in one go goes up once.
  settleMs: 1_000,
  // A log that is never still goes up this often all the same.
  busyFileMs: 30_000,
  // A walk over a large volume takes its time: no more than this share of a core.
  scanShare: 0.1,
  // Without any sign of a change: for signs that the kernel dropped.
  rescanMs: 60_000,
  // S3 gives no sign of a change, and neither do directories beyond the kernel's watches.
  pollMs: 10_000,
  // After a failure, doubled from the first to the second.
  retryFirstMs: 2_000,
  retryMostMs: 60_000,
};
/** A file that changes while it goes up is sent again so often. */
export const VOLUME_CHANGED_FILE_TRIES = 3;
/** inotify takes about 1 KiB of kernel memory a directory; beyond, the walk finds what changed. */
export const VOLUME_WATCHES_MAX = 20_000;
/** Of a listing, which is held in memory: about 300 bytes each. */
export const VOLUME_MAX_OBJECTS = 1_000_000;
/** Files that are told by name in one run; the rest is counted. */
export const VOLUME_TOLD_FILES = 10;
