/**
 * Limits that several rooms share; every other limit is in the `limits.ts` of the room that it bounds.
 */
import { KiB, MiB } from "./units.ts";

/** One piece of an upload: the unit in which its progress is seen. */
export const UPLOAD_CHUNK_BYTES = 256 * KiB;
/** mkcomposefs's bounds (lcfs-writer.h): what it would refuse has no digest to compare with. */
export const FILE_NAME_MAX_BYTES = 255;
export const XATTRS_MAX_BYTES = 32_767;
/** A path of 4,096 bytes has no more parts; the walks over a tree recurse this deep. */
export const TREE_MAX_DEPTH = 2048;
export const READ_CHUNK_BYTES = MiB;
/** An NFS server sends at most this much at a time. */
export const FILE_READ_BYTES = MiB;
/** Memory the test cannot take: the agent (50 MB at rest), its buffers, the kernel's own needs. */
export const MEMORY_RESERVE_BYTES = 128 * MiB;
