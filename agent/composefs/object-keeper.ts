/**
 * What the composefs driver asks of a store of objects; agent/store/object-store.ts is one.
 * Another layout (one file a layer, with EROFS mapping chunks of it) would fit behind the same calls.
 */

/** An object written in a staging folder, hashed, not yet kept. Digests in hex. */
export interface StagedObject {
  path: string;
  verity: string;
  /** Where it was taken; without it the object is not found by it before `indexFiles`. */
  sha256?: string;
  sizeBytes: number;
}

/** What a layer or archive looks like, by one of the names it is asked for. */
export interface TreeRecord {
  id: string;
  content: Uint8Array;
  /** fs-verity digests of all that it names. */
  objects: readonly string[];
}

export interface ObjectKeeper {
  /** Objects lie below it as `ab/cdef…`. */
  readonly objectsDir: string;
  /** The file system seals objects with fs-verity, so that the kernel checks every read. */
  readonly seals: boolean;
  /** A store without any need not be asked for files. */
  readonly isEmpty: boolean;
  hasObject(verity: string): boolean;
  findBySha256(sha256: string): string | undefined;
  /** Takes the sha256 of every object whose is not known, so that it is found by it; gives how many those were. */
  indexFiles(): Promise<{ files: number; bytes: number }>;
  createStaging(): string;
  /** Everything staged is kept, and then the trees of it: a power cut never leaves half an object or half a tree. */
  commit(staged: readonly StagedObject[], trees?: readonly TreeRecord[]): Promise<void>;
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
