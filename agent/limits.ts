/**
 * Every number that bounds something, with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */

const KiB = 1024;
const MiB = 1024 * KiB;

/** x86 kernels cut the command line at 2,048 bytes without a word. */
export const CMDLINE_MAX_BYTES = 2048;
export const MANIFEST_MAX_BYTES = 4 * MiB;
