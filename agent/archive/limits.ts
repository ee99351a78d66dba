/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { KiB, MiB } from "../units.ts";

/** A Debian root has 10,000, the largest images known some 500,000; each costs the kernel about 1 KiB. */
export const ARCHIVE_MAX_ENTRIES = 2_000_000;
/** All headers of one member (pax records, long names): a value has up to 64 KiB, and real files have a few of them. */
export const TAR_HEADER_MAX_BYTES = MiB;
/** A member has at most a pax header, a long name, a long link and a global header in practice. */
export const TAR_HEADERS_PER_ENTRY = 16;
/** PATH_MAX without its NUL. */
export const ARCHIVE_PATH_MAX_BYTES = 4095;
/** Names, link targets and, twice, attributes of all members, which a tree holds in memory: 500,000 real members have 60 MB. */
export const ARCHIVE_MAX_NAME_BYTES = 128 * MiB;
/** deflate reaches 1,032:1; zstd exceeds that only for long runs of zeros. */
export const ARCHIVE_MAX_RATIO = 1100;
/** The ratio is checked above this size: one file of zeros is not a bomb. */
export const ARCHIVE_RATIO_FREE_BYTES = 1024 * MiB;
/** 128 MiB: what `zstd --ultra -22` needs, and the most that `zstd` accepts by default. */
export const ZSTD_WINDOW_LOG_MAX = 27;
/** gzip is 40 % slower with the default of 16 KiB, and no faster beyond 1 MiB. */
export const DECOMPRESS_CHUNK_BYTES = MiB;
/** containers/storage's own limit for a TOC; ours is read in batches and never held as a whole. */
export const TOC_MAX_BYTES = 150 * MiB;
/** The limit for an archive's members, and as many chunks. */
export const TOC_MAX_ENTRIES = 4_000_000;
/** A TOC that is not printed as Go prints it is parsed at once; also more than any one entry has. */
export const TOC_BATCH_MAX_BYTES = 4 * MiB;
export const TAR_SPLIT_MAX_BYTES = 512 * MiB;
/** Enough for the largest header and for 1 MiB pieces of padding, in base64. */
export const TAR_SPLIT_LINE_MAX_BYTES = 4 * MiB;
export const ZSTD_OUTPUT_BYTES = 128 * KiB;
/** nginx accepts header lines of 8 KiB, some proxies of 4 KiB. */
export const RANGE_HEADER_MAX_BYTES = 3_500;
/** A part of a response costs about 150 bytes of headers, so reading across a small gap is as cheap. */
export const RANGE_GAP_BYTES = 256;
export const RANGE_PART_COST_BYTES = 150;
/** A round trip of 20 ms at 100 Mbit/s, with several requests in flight. */
export const RANGE_REQUEST_COST_BYTES = 64 * KiB;
/** Above this share of the whole, one full download is faster. */
export const PARTIAL_PULL_MAX_SHARE = 0.8;
/** Frames up to this size are decoded in one piece; packers write 64 KiB on average and 4 MiB at most. */
export const FRAME_IN_MEMORY_MAX_BYTES = 8 * MiB;
