/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { MiB } from "../../agent/units.ts";

export const DUMP_XATTRS_MAX_BYTES = 65_535;
/** Of a dump held in memory as one text; a dump of 100,000 files is about 30 MiB. */
export const DUMP_MAX_BYTES = 256 * MiB;
