/**
 * The interface of root drivers: a driver takes layers as they stream in and mounts them as one tree.
 * drivers/overlay.ts keeps each layer as a directory, drivers/composefs.ts keeps files in the object store.
 */

import type { RangeReader } from "../archive/byte-range.ts";

/** A layer or archive whose server may support ranges; the driver verifies the content of the parts. */
export interface PartSource extends RangeReader {
  /** The descriptor's, for a layer. An archive has none: its last bytes locate its tables. */
  annotations?: Readonly<Record<string, string>>;
  /** `sha256:…` of the table of contents, from the job. */
  tableDigest?: string;
}

/** A layer or an artifact. Its compression is detected from its bytes. */
export interface LayerSource {
  /** `sha256:…` of the compressed bytes. */
  digest?: string;
  /** `sha256:…` of the uncompressed tar. */
  diffId?: string;
  /** Of the compressed bytes. */
  sizeBytes?: number;
  /** Called once. Each chunk is copied before the next is requested. */
  open(): Promise<AsyncIterable<Buffer>>;
  /** Where the server may support ranges. */
  parts?: PartSource;
}

export interface UnpackProgress {
  /** Received so far, compressed. */
  bytesIn: number;
  /** Of the uncompressed tar. */
  bytesOut: number;
  /** Members of the archive, of every type. */
  files: number;
}

export interface UnpackOptions {
  signal?: AbortSignal;
  /** Called about once a megabyte, with totals. */
  onProgress?: (progress: UnpackProgress) => void;
  /** Called when it is known that `bytes` of the source's `totalBytes` will not be fetched. */
  onReuse?: (bytes: number, totalBytes: number) => void;
}

/** A verified layer that the driver keeps; a driver mounts only its own layers. */
export interface RootLayer {
  readonly digest?: string;
  readonly diffId?: string;
  readonly files: number;
  /** Content of its files. */
  readonly bytes: number;
  /** Losses that are not worth an error, for the log. */
  readonly warnings: readonly string[];
}

export interface RootOptions {
  /** Where the root is mounted; created if missing. */
  target: string;
  /** Receives the test's writes. Both on one file system with xattrs (a tmpfs, the cache); created if missing. */
  upperDir: string;
  workDir: string;
  /** fs-verity digest that the composefs image of the root must have; a driver without images refuses it. */
  composefsDigest?: string;
  /** The store keeps the content of the root under this name for the next boot. */
  name?: string;
}

export interface UnpackedArchive {
  files: number;
  /** Content of its files. */
  bytes: number;
  warnings: readonly string[];
}

export interface MountedRoot {
  readonly path: string;
  /**
   * Unpacks an artifact at `to`, which is resolved inside the root and created if missing. Existing directories keep owner
   * and mode, symlinks to directories are kept. Content is verified once the promise is fulfilled; after an error the root
   * must not be used. Throws ARCHIVE_…, ARTIFACT_DIGEST_MISMATCH, ROOT_NO_SPACE.
   */
  unpackArchive(source: LayerSource, to: string, options?: UnpackOptions): Promise<UnpackedArchive>;
  /** Throws ROOT_UNMOUNT_FAILED while a process uses it. */
  unmount(): Promise<void>;
}

export interface RootDriver {
  readonly name: "overlay" | "composefs";
  /** Starts a worker for layers that will be added soon. */
  warmUp(): void;
  /** The DiffIDs of the layers that will be added, in any order, and mounted in this order: the driver may prepare for it. */
  expectLayers(diffIds: readonly string[]): void;
  /** True when the layer is stored and need not be fetched. */
  hasLayer(diffId: string): boolean;
  /**
   * Takes the layer as it streams and verifies size, digest and DiffID; a failure leaves nothing behind.
   * Throws ARCHIVE_…, LAYER_…_MISMATCH, ROOT_NO_SPACE, and what the source throws.
   */
  addLayer(source: LayerSource, options?: UnpackOptions): Promise<RootLayer>;
  /** Layers from the lowest up. Throws ROOT_MOUNT_FAILED. */
  mount(layers: readonly RootLayer[], options: RootOptions): Promise<MountedRoot>;
}
