/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */

/** At an interactive shell, of output that may be the beginning of a secret: shorter than anybody notices. */
export const REDACTION_HOLD_MS = 50;
