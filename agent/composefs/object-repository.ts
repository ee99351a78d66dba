/**
 * The store of objects as the composefs driver sees it, which agent/store/object-store.ts implements.
 * Another layout (one file per layer, with EROFS mapping chunks of it) would fit the same interface.
 */

/** Files up to this size are part of the image instead of an object, as in composefs-rs. */
export const INLINE_FILE_MAX_BYTES = 64;

/** Where an object is, below the objects directory: `ab/cdef…`. */
export function formatObjectPath(verityDigest: string): string {
  return `${verityDigest.slice(0, 2)}/${verityDigest.slice(2)}`;
}

/** Hashed objects in a staging folder, not yet committed. */
export interface StagedObjects {
  /** An object's file is named by its index. */
  folder: string;
  /** fs-verity digests, 32 bytes each; may contain duplicates. */
  verities: Uint8Array;
  /** Without these, the objects are found by their sha256 only after `indexFiles`. */
  sha256s?: Uint8Array;
}

/** The tree of a layer or archive, under one of its ids. */
export interface TreeRecord {
  id: string;
  content: Uint8Array;
  /** fs-verity digests of the tree's objects, 32 bytes each; may contain duplicates. */
  objects: Uint8Array;
}

export interface ObjectRepository {
  /** See `formatObjectPath`. */
  readonly objectsDir: string;
  /** Whether objects are sealed with fs-verity, so that the kernel checks every read. */
  readonly seals: boolean;
  /** Whether it has no objects. */
  readonly isEmpty: boolean;
  /** fs-verity digests for a list of sha256 digests, 32 bytes each; zeros for what is not in the store. */
  findBySha256(sha256s: Buffer): Buffer<ArrayBuffer>;
  /** Hashes every object whose sha256 is not known, so that `findBySha256` finds it. Returns what was hashed. */
  indexFiles(): Promise<{ files: number; bytes: number }>;
  createStaging(): string;
  /** Stores objects, then trees. After a power cut, an object or tree is complete or absent. */
  commit(staged: StagedObjects, trees?: readonly TreeRecord[]): Promise<void>;
  readTreeIfExists(id: string): Buffer | undefined;
  /** Contents too small for objects. */
  addInlineContents(contents: Iterable<Buffer>): void;
  /** By sha256 in hex. */
  findInlineContent(sha256: string): Buffer | undefined;
  /** Keeps a TOC or tar-split while there is room. Readers check its digest. */
  putTable(id: string, content: Uint8Array): void;
  readTableIfExists(id: string): Buffer | undefined;
  /** By the beginning of their ids. */
  listTables(prefix: string): { id: string; sizeBytes: number }[];
  putImage(content: Uint8Array): Promise<{ digest: string; path: string }>;
  /** Verifies objects and drops damaged ones. Returns the digests of those that are damaged or missing. */
  check(verities: Iterable<string>): Promise<{ lost: string[] }>;
}
