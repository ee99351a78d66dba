/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { KiB, MiB } from "../units.ts";

/** A journal has a command line, a few phases and a verdict: some KiB. */
export const JOURNAL_MAX_BYTES = 256 * KiB;
/** Share of memory for the store in RAM. The kernel's default of one half is too small for a 430 MB image in 1 GiB. */
export const RAM_STORE_SHARE = 0.8;
/** Sealing waits for the disk; several at a time keep it busy. */
export const SEALS_AT_A_TIME = 4;
/** A USB disk or an NVMe drive behind a bridge takes a few seconds to appear. */
export const CACHE_DEVICE_WAIT_MS = 10_000;
/** Contents of files too small for objects; an image has some hundred of up to 64 bytes. */
export const INLINE_CONTENTS_MAX_BYTES = 4 * MiB;
/** Compressed TOCs and tar-splits, about a megabyte per layer. */
export const TABLES_MAX_BYTES = 64 * MiB;
