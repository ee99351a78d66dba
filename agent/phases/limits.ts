/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { KiB, MiB } from "../units.ts";

/** Time a phase has to come back after its deadline, before it is left behind: killing a container takes up to 10 s. */
export const ABORT_GRACE_MS = 20_000;
/** The results of a job that ran into its deadline are still worth a wait, but not the farm's night. */
const UPLOAD_LIMIT_MS = 10 * 60_000;
/** Phases that are tried even after the job's deadline, and how long where the job does not say. */
export const OWN_LIMITS_MS: Readonly<Record<string, number>> = {
  upload: UPLOAD_LIMIT_MS,
  end: UPLOAD_LIMIT_MS,
};
/** After ten seconds of silence people, and some farms' watchdogs, begin to wonder; a check and a busy moment come before. */
export const LIFE_SIGN_MS = 8_500;
export const LIFE_SIGN_CHECK_MS = 500;
/** Of results on the cache: less than this free, and they stay in RAM, for the store and the test's own root need the room. */
export const RESULTS_RESERVE_BYTES = 128 * MiB;
/** Boots of one line that do not end, one after the other, before the next is refused: a farm that reboots by itself must notice. */
export const BOOT_LOOP_DEATHS = 5;
/** What earlier boots left, and how much of this job's time it may take. */
export interface PreviousBootLimits {
  timeMs: number;
  attempts: number;
  keptBoots: number;
  keptBytes: number;
  reserveBytes: number;
}
export const PREVIOUS_BOOT_LIMITS: PreviousBootLimits = {
  // At 100 Mbit/s two gigabytes; what takes longer holds up somebody else's job for too long.
  timeMs: 3 * 60_000,
  // A service that is down for three jobs is not the place any more.
  attempts: 3,
  // Of jobs whose service no later job used.
  keptBoots: 8,
  keptBytes: 2048 * MiB,
  reserveBytes: RESULTS_RESERVE_BYTES,
};
/** More streams than a DUT has cores to unpack them gain nothing, and each holds its buffers. */
export const LAYERS_AT_A_TIME = 3;
/** A file that changes while it goes up is taken anew so often. */
export const RESULT_TRIES = 3;
/** Of each further file once the place has not answered for one: what is lost is told sooner. */
export const HURRIED_RETRY = { budgetMs: 5_000, firstContactBudgetMs: 5_000 };
/** Manifest and verdict behind an upload that ran out of time; within ABORT_GRACE_MS. */
export const LAST_RECORDS_LIMIT_MS = 15_000;
/** Files in a row that a place which is gone does not take; no further one is tried. */
export const UPLOAD_FAILURES_MAX = 12;
/** Files that an error of the upload names; the manifest names all. */
export const UPLOAD_TOLD_FILES = 5;
/** A file that changes all the time is sent at this rate on average: S3 knows no appending, each time it is sent whole. */
export const SYNC_FILE_BYTES_PER_SECOND = 256 * KiB;
/** All files together while the test runs, in case the network is part of what it tests. */
export const SYNC_BYTES_PER_SECOND = 2 * MiB;
/** A walk over very many files takes no more than this share of a core. */
export const SYNC_SCAN_SHARE = 0.01;
/** Files in a row that cannot be sent before the others wait for the next turn. */
export const SYNC_FAILURES_MAX = 3;
/** The next turn is the next try. */
export const SYNC_RETRY = { budgetMs: 0, firstContactBudgetMs: 0 };
/** For what is on its way at the end of the test: an upload that is broken off may still arrive, behind a later one. */
export const SYNC_STOP_GRACE_MS = 10_000;
/** Results are many small files: a few at a time hide the round trips. */
export const UPLOADS_AT_A_TIME = 4;
