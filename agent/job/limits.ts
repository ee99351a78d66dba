/** Limits of reading a job. */
import { MiB } from "../units.ts";

/** The default interval for uploading results while the test runs: how much a hang may lose. */
export const RESULTS_SYNC_MS = 30_000;
/** A longer line of ours needs the end marker: U-Boot's pxe takes 1,024 bytes, and loaders add words. */
export const CMDLINE_END_BYTES = 900;
/** Longer lines without an end marker cause a warning. */
export const CMDLINE_WARN_BYTES = 1000;
/** At this size lines of x86 and arm64 kernels (2,048 bytes) may be cut. */
export const CMDLINE_CUT_BYTES = 2040;
/** Ten times a job with thousands of variables. */
export const JOB_FILE_MAX_BYTES = MiB;
