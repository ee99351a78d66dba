/** Limits of reading a job. */
import { MiB } from "../units.ts";

/** x86 kernels silently cut the command line at this size. */
export const CMDLINE_MAX_BYTES = 2048;
/** The default interval for uploading results while the test runs: how much a hang may lose. */
export const RESULTS_SYNC_MS = 30_000;
/** Longer lines cause a warning: the boot loader and the kernel may add more words. */
export const CMDLINE_WARN_BYTES = 1800;
/** Ten times a job with thousands of variables. */
export const JOB_FILE_MAX_BYTES = MiB;
