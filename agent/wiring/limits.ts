/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { MiB } from "../units.ts";

/** Of a log, what comes back into RAM when the cache goes: events of hours, not what a test printed. */
export const LOG_BACK_MAX_BYTES = 16 * MiB;
/** Of a job that fetches nothing: what is there has a link and a lease by then. */
export const NETWORK_UNNEEDED_WAIT_MS = 10_000;
