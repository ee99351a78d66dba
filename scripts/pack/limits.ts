/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { MiB } from "../../agent/units.ts";

/** vbatts/tar-split cuts the bytes after the end of an archive into segments of this size. */
export const TAR_SPLIT_SEGMENT_BYTES = 2 * MiB;
/** A chunk is compressed in memory; the rolling sum makes them 64 KiB on average. */
export const CHUNK_MAX_BYTES = 4 * MiB;
/** Headers of members without content are collected in frames of this size. */
export const PACK_LITERAL_MAX_BYTES = MiB;
