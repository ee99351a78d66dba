/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { MiB } from "../units.ts";

/** x86 kernels cut the command line at 2,048 bytes without a word. */
export const CMDLINE_MAX_BYTES = 2048;
/** Of results while the test runs, where the job does not say: what a hang may lose. */
export const RESULTS_SYNC_MS = 30_000;
/** From here on a line is worth a warning: the boot loader, the kernel and its built-in words add theirs. */
export const CMDLINE_WARN_BYTES = 1800;
/** A job of thousands of variables is a tenth of it. */
export const JOB_FILE_MAX_BYTES = MiB;
