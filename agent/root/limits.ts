/**
 * Limits of this room, with the unit in the name. Code takes a limit as an option, so that tests can lower it.
 */
import { MiB } from "../units.ts";

/** Archives of `xz -9` need 65 MB. */
export const XZ_MAX_MEMORY_BYTES = 256 * MiB;
/** Buffers of a stream on their way to a worker thread. */
export const UNPACK_BUFFER_BYTES = MiB;
export const UNPACK_BUFFERS = 4;
/** Dropped buffers before a minor collection. */
export const COLLECT_BUFFERS_BYTES = 8 * MiB;
/** A full collection frees too little after fewer files. */
export const COLLECT_FILES = 20_000;
/** At most one per core; each holds about 15 MB and a decompression window. */
export const UNPACK_WORKERS_MAX = 3;
/** An idle worker ends after this time: the test may need its memory. */
export const UNPACK_WORKER_IDLE_MS = 2_000;
/** After a tree of more members, which leave about 1 KB each in the worker, the worker ends at once. */
export const UNPACK_WORKER_KEEP_FILES = 20_000;
/** Directories kept open while unpacking: members of a directory mostly follow each other. */
export const OPEN_DIRECTORIES_MAX = 64;
/** Both tables of a blob, compressed: 200,000 files. Larger ones lead to a full download. */
export const CHUNKED_TABLES_MAX_BYTES = 32 * MiB;
/** Compressed; a chunk that arrives in pieces is held until it is complete. */
export const CHUNK_FRAME_MAX_BYTES = 8 * MiB;
/** Compressed frames of tar headers, which wait in memory for their turn: 90 bytes per file. */
export const HEADER_FRAMES_MAX_BYTES = 32 * MiB;
/** How long rebuilding a tar runs before the thread reads its messages. */
export const REBUILD_SLICE_MS = 20;
/** TOCs of other archives that are searched for chunks of changed files; one of a large image takes 100 ms. */
export const CHUNK_TABLES_SEARCHED = 3;
