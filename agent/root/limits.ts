/**
 * Limits of this room, each with its unit in the name and its reason beside it.
 * Code takes a limit as an overridable option, so that a test of it takes milliseconds.
 */
import { MiB } from "../units.ts";

/** PATH_MAX without its NUL: what the kernel takes in one call. */
export const ARCHIVE_PATH_MAX_BYTES = 4095;
/** Of xz, which wants 65 MB for `xz -9`. */
export const XZ_MAX_MEMORY_BYTES = 256 * MiB;
/** One buffer on its way to a worker thread, and how many of them a stream has: its whole memory on the way. */
export const UNPACK_BUFFER_BYTES = MiB;
export const UNPACK_BUFFERS = 4;
/** Of buffers that were handed on, before their memory is collected. */
export const COLLECT_BUFFERS_BYTES = 8 * MiB;
/** With fewer files than these a look through all memory finds too little. */
export const COLLECT_FILES = 20_000;
/** More workers than cores gain nothing; each holds about 15 MB and a decompression window. */
export const UNPACK_WORKERS_MAX = 3;
/** An idle worker holds memory that the test may need. */
export const UNPACK_WORKER_IDLE_MS = 2_000;
/** A tree of more members leaves so much behind in its worker (about 1 KB each) that the worker is ended at once. */
export const UNPACK_WORKER_KEEP_FILES = 20_000;
/** Directories kept open while unpacking: members of one directory mostly follow each other. */
export const OPEN_DIRECTORIES_MAX = 64;
/** Both tables of a blob, compressed, in memory: 200,000 files; beyond that the whole is taken. */
export const CHUNKED_TABLES_MAX_BYTES = 32 * MiB;
/** Compressed; a chunk that comes in several pieces is held until it is whole. */
export const CHUNK_FRAME_MAX_BYTES = 8 * MiB;
/** Compressed frames of tar headers wait in memory for their turn: 90 bytes a file. */
export const HEADER_FRAMES_MAX_BYTES = 32 * MiB;
/** Between two looks at what arrived, while a tar is put together and hashed. */
export const REBUILD_SLICE_MS = 20;
/** Tables of other archives that are searched for chunks of changed files; reading one of a large image takes 100 ms. */
export const CHUNK_TABLES_SEARCHED = 3;
