/** Limits of this room. Code takes a limit as an option, so that tests can use small ones. */
import { KiB, MiB } from "../units.ts";

/** How long a phase may run on after its deadline before it is abandoned: killing a container takes up to 10 s. */
export const ABORT_GRACE_MS = 20_000;
const UPLOAD_LIMIT_MS = 10 * 60_000;
/** Phases that are tried even after the job's deadline, with their limits where the job names none. */
export const OWN_LIMITS_MS: Readonly<Record<string, number>> = {
  upload: UPLOAD_LIMIT_MS,
  end: UPLOAD_LIMIT_MS,
};
/** Silence before a progress line: people, and some farms' watchdogs, react after ten seconds. */
export const PROGRESS_SILENCE_MS = 8_500;
export const PROGRESS_CHECK_MS = 500;
/** Results stay in RAM if the cache has less free space than this: the store and the test's root need it. */
export const RESULTS_RESERVE_BYTES = 128 * MiB;
/** Consecutive boots of one line without an end, before the next is refused. */
export const BOOT_LOOP_DEATHS = 5;
/** For the results of earlier boots. */
export interface PreviousBootLimits {
  timeMs: number;
  attempts: number;
  keptBoots: number;
  keptBytes: number;
  reserveBytes: number;
}
export const PREVIOUS_BOOT_LIMITS: PreviousBootLimits = {
  // Enough for two gigabytes at 100 Mbit/s; more would delay the present job too long.
  timeMs: 3 * 60_000,
  // A destination that is down for three jobs no longer exists.
  attempts: 3,
  // For jobs whose destination no later job used.
  keptBoots: 8,
  keptBytes: 2048 * MiB,
  reserveBytes: RESULTS_RESERVE_BYTES,
};
/** A DUT has few cores to unpack layers, and each stream holds its buffers. */
export const LAYERS_AT_A_TIME = 3;
/** Tries for a file that changes during its upload. */
export const RESULT_TRIES = 3;
/** For each file after one that the destination did not answer for. */
export const HURRIED_RETRY = { budgetMs: 5_000, firstContactBudgetMs: 5_000 };
/** For manifest and verdict after an upload that ran out of time; less than ABORT_GRACE_MS. */
export const LAST_RECORDS_LIMIT_MS = 15_000;
/** Consecutive files that could not be sent, before the rest is given up. */
export const UPLOAD_FAILURES_MAX = 12;
/** Files that an error of the upload names; the manifest names all. */
export const UPLOAD_NAMED_FILES = 5;
/** Average rate for one file that keeps changing: S3 cannot append, so it is sent as a whole each time. */
export const SYNC_FILE_BYTES_PER_SECOND = 256 * KiB;
/** Rate for all files while the test runs: the test may be using the network. */
export const SYNC_BYTES_PER_SECOND = 2 * MiB;
/** Share of one core for listing the files. */
export const SYNC_SCAN_SHARE = 0.01;
/** Consecutive files that could not be sent, before the rest waits for the next turn. */
export const SYNC_FAILURES_MAX = 3;
/** No retries: the next turn is the retry. */
export const SYNC_RETRY = { budgetMs: 0, firstContactBudgetMs: 0 };
/** For an upload under way when the test ends: an aborted one may still arrive, after a later one. */
export const SYNC_STOP_GRACE_MS = 10_000;
/** Results are many small files: parallel uploads hide the round trips. */
export const UPLOADS_AT_A_TIME = 4;
