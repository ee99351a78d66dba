/**
 * Every number that bounds something, with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */

const KiB = 1024;
const MiB = 1024 * KiB;

/** x86 kernels cut the command line at 2,048 bytes without a word. */
export const CMDLINE_MAX_BYTES = 2048;
export const MANIFEST_MAX_BYTES = 4 * MiB;

// Console and reports
/** About 90 s of a 115,200 baud UART: more than a reader could still call live. */
export const CONSOLE_QUEUE_BYTES = MiB;
/** One write to the console: small enough that an agent's line is not far behind. */
export const CONSOLE_CHUNK_BYTES = 4 * KiB;
export const PROGRESS_INTERVAL_MS = 2_000;
/** A host that has not read its events by then is not listening. */
export const EVENT_PORT_PATIENCE_MS = 2_000;
/** Time a phase has to come back after its deadline, before it is left behind: killing a container takes up to 10 s. */
export const ABORT_GRACE_MS = 20_000;
/** The results of a job that ran into its deadline are still worth a wait, but not the farm's night. */
export const UPLOAD_LIMIT_MS = 10 * 60_000;
/** More streams than a DUT has cores to unpack them gain nothing, and each holds its buffers. */
export const LAYERS_AT_A_TIME = 3;
/** Results are many small files: a few at a time hide the round trips. */
export const UPLOADS_AT_A_TIME = 4;
