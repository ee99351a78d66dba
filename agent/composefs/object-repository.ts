/**
 * What the composefs driver asks of a store of objects; agent/store/object-store.ts is one.
 * Another layout (one file a layer, with EROFS mapping chunks of it) would fit behind the same calls.
 */

/** Objects written in a staging folder, hashed, not yet kept. */
export interface StagedObjects {
  /** Their files are named by their number, from 0 on. */
  folder: string;
  /** Their fs-verity digests, 32 bytes each, one after the other; the same content may come several times. */
  verities: Uint8Array;
  /** As `verities`, where they were taken; without them the objects are not found by them before `indexFiles`. */
  sha256s?: Uint8Array;
}

/** What a layer or archive looks like, by one of the names it is asked for. */
export interface TreeRecord {
  id: string;
  content: Uint8Array;
  /** fs-verity digests of all that it names, 32 bytes each; perhaps some of them several times. */
  objects: Uint8Array;
}

export interface ObjectRepository {
  /** Objects lie below it as `ab/cdef…`. */
  readonly objectsDir: string;
  /** The file system seals objects with fs-verity, so that the kernel checks every read. */
  readonly seals: boolean;
  /** A store without any need not be asked for files. */
  readonly isEmpty: boolean;
  hasObject(verity: string): boolean;
  /** fs-verity digests of the objects with these sha256 digests, 32 bytes each in both; zeros for what is not here. */
  findBySha256(sha256s: Buffer): Buffer<ArrayBuffer>;
  /** Takes the sha256 of every object whose is not known, so that it is found by it; gives how many those were. */
  indexFiles(): Promise<{ files: number; bytes: number }>;
  createStaging(): string;
  /** Everything staged is kept, and then the trees of it: a power cut never leaves half an object or half a tree. */
  commit(staged: StagedObjects, trees?: readonly TreeRecord[]): Promise<void>;
  readTreeIfExists(id: string): Buffer | undefined;
  /** Contents too small for an object, found by their sha256 in hex all the same. */
  addSmalls(contents: Iterable<Buffer>): void;
  findSmall(sha256: string): Buffer | undefined;
  /** Tables of contents and the like, for as long as there is room; the reader checks them. */
  putTable(id: string, content: Uint8Array): void;
  readTableIfExists(id: string): Buffer | undefined;
  /** Those whose ids begin so. */
  listTables(prefix: string): { id: string; sizeBytes: number }[];
  putImage(content: Uint8Array): Promise<{ digest: string; path: string }>;
  /** Checks objects against their names and drops what is wrong; gives those that are not there (any more). */
  check(verities: Iterable<string>): Promise<{ lost: string[] }>;
}
