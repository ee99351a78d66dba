/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { KiB, MiB } from "../units.ts";

/** A Debian root has 10,000, the largest images known some 500,000; each costs the kernel about 1 KiB. */
export const ARCHIVE_MAX_ENTRIES = 2_000_000;
/** All that stands before one member (pax records, long names): 64 KiB a value, and real files have a few of those. */
export const TAR_HEADER_MAX_BYTES = MiB;
/** pax, long name, long link, a global header: nobody needs more of them before one member. */
export const TAR_HEADERS_PER_ENTRY = 16;
/** deflate reaches 1,032:1 at best; zstd goes beyond only for nothing but zeros. */
export const ARCHIVE_MAX_RATIO = 1100;
/** An archive may hold this much without a word about its ratio: one file of zeros is no bomb. */
export const ARCHIVE_RATIO_FREE_BYTES = 1024 * MiB;
/** 128 MiB, the most that `zstd` itself takes without being told and `zstd --ultra -22` needs. */
export const ZSTD_WINDOW_LOG_MAX = 27;
/** gzip at the default of 16 KiB is 40 % slower; beyond 1 MiB nothing is gained. */
export const DECOMPRESS_CHUNK_BYTES = MiB;
/** containers/storage's own bound on a table of contents; ours is read entry by entry, not held whole. */
export const TOC_MAX_BYTES = 150 * MiB;
/** The bound on an archive's members, and as many chunks again. */
export const TOC_MAX_ENTRIES = 4_000_000;
/** An entry has a path, perhaps 32 KiB of xattrs in base64, and digests. */
export const TOC_ENTRY_MAX_BYTES = 256 * KiB;
export const TAR_SPLIT_MAX_BYTES = 512 * MiB;
/** Base64 of the largest header we take, and of the 1 MiB pieces that padding comes in. */
export const TAR_SPLIT_LINE_MAX_BYTES = 4 * MiB;
export const ZSTD_OUTPUT_BYTES = 128 * KiB;
/** nginx takes 8 KiB of a header line, some proxies 4: then many ranges are no error but slow. */
export const RANGE_HEADER_MAX_BYTES = 3_500;
/** A part of an answer brings about 150 bytes of its own; reading on over a small gap is as cheap. */
export const RANGE_GAP_BYTES = 256;
export const RANGE_PART_COST_BYTES = 150;
/** A round trip of 20 ms at 100 Mbit/s, with some in flight at once. */
export const RANGE_REQUEST_COST_BYTES = 64 * KiB;
/** Above this share of the whole, one stream without seams is faster. */
export const PARTIAL_PULL_MAX_SHARE = 0.8;
/** A frame decoded in one piece; the packers' are 64 KiB on average and 4 MiB at most. */
export const FRAME_IN_MEMORY_MAX_BYTES = 8 * MiB;
