/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { MiB } from "../../agent/units.ts";

/** Of bytes behind an archive's end, as vbatts/tar-split cuts them. */
export const TAR_SPLIT_SEGMENT_BYTES = 2 * MiB;
/** A chunk is compressed whole in memory; the rolling sum makes them 64 KiB on average. */
export const CHUNK_MAX_BYTES = 4 * MiB;
/** Headers of members without content, gathered to one frame. */
export const PACK_LITERAL_MAX_BYTES = MiB;
