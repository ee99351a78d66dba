/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { MiB } from "../units.ts";

/** A few at a time hide the round trip of small files; more would only queue at the service. */
export const VOLUME_TRANSFERS_AT_A_TIME = 8;
/** Buffers of uploads: the S3 client holds a whole file or two parts of it. */
export const VOLUME_TRANSFER_BUFFER_BYTES = 32 * MiB;
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
  // From a change to the scan, and again until a file is unchanged, so that one series of writes is one upload.
  settleMs: 1_000,
  // A log that keeps changing is uploaded this often.
  busyFileMs: 30_000,
  // Share of a core that scans of a large volume may use.
  scanShare: 0.1,
  // Without events, because the kernel may drop some.
  rescanMs: 60_000,
  // For S3, which has no events, and for directories that are not watched.
  pollMs: 10_000,
  // After a failure, doubled from the first to the second.
  retryFirstMs: 2_000,
  retryMostMs: 60_000,
};
/** Uploads of a file that changes meanwhile. */
export const VOLUME_CHANGED_FILE_TRIES = 3;
/** inotify takes about 1 KiB of kernel memory per directory; without a watch, the scan finds changes. */
export const VOLUME_WATCHES_MAX = 20_000;
/** A listing is held in memory, about 300 bytes per object. */
export const VOLUME_MAX_OBJECTS = 1_000_000;
/** Files that one run logs by name; the rest is counted. */
export const VOLUME_LOGGED_FILES = 10;
