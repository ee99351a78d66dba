/**
 * What a root driver does, whatever it builds roots with: it takes layers as they stream in and mounts them as one tree.
 * overlay-root.ts keeps each layer as a directory; a driver on the object store takes the same sources.
 */

import type { RangeReader } from "../archive/byte-range.ts";

/** A layer or archive in parts, for drivers that keep files apart; what the parts hold is checked by the driver. */
export interface PartSource extends RangeReader {
  /** The descriptor's, for a layer; an archive has none, and its own end says where its tables are. */
  annotations?: Readonly<Record<string, string>>;
  /** `sha256:…` of the table of contents, which the job vouches for; the archive then stands and falls with it. */
  tableDigest?: string;
}

/** Bytes of a layer or an artifact. How they are compressed is told by the bytes themselves. */
export interface LayerSource {
  /** `sha256:…` of the bytes as they come. */
  digest?: string;
  /** `sha256:…` of the uncompressed tar. */
  diffId?: string;
  /** Of the bytes as they come. */
  sizeBytes?: number;
  /** Called once. The chunks are copied before the next one is asked for. */
  open(): Promise<AsyncIterable<Buffer>>;
  /** Where the server may be asked for parts. */
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
  /** Called when it is known that so many bytes of the source, of so many, need not come. */
  onReuse?: (bytes: number, totalBytes: number) => void;
}

/** A layer that was verified and kept; a driver mounts only layers of its own. */
export interface RootLayer {
  readonly digest?: string;
  readonly diffId?: string;
  readonly files: number;
  /** Content of its files. */
  readonly bytes: number;
  /** What could not be kept and is not worth an error, for the log. */
  readonly warnings: readonly string[];
}

export interface RootOptions {
  /** Where the root appears; made when it is not there. */
  target: string;
  /** Takes what the test writes; on one file system that has xattrs (a tmpfs, the cache), both made when not there. */
  upperDir: string;
  workDir: string;
  /** fs-verity digest that the root's composefs image must have; a driver without images refuses it. */
  composefsDigest?: string;
  /** What the store remembers the root's content by; absent: it is not kept for another boot. */
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
   * Unpacks an artifact at `to`, which is resolved inside the root and made when it is not there. Directories that exist keep
   * owner and mode, and links to directories stay. Content is only to be trusted once the promise is kept: after an
   * error the root must not be used. Throws ARCHIVE_…, ARTIFACT_DIGEST_MISMATCH, ROOT_NO_SPACE.
   */
  unpackArchive(source: LayerSource, to: string, options?: UnpackOptions): Promise<UnpackedArchive>;
  /** Throws ROOT_UNMOUNT_FAILED while somebody uses it. */
  unmount(): Promise<void>;
}

export interface RootDriver {
  readonly name: "overlay" | "composefs";
  /** Layers will come, once they were asked for over the network: starts what takes its time to start. */
  warmUp(): void;
  /** These will be added, in any order, and mounted in this one: what can be made ready for that is. */
  expectLayers(diffIds: readonly string[]): void;
  /** True when the layer is kept already, so that it need not be fetched. */
  hasLayer(diffId: string): boolean;
  /**
   * Takes the layer while it streams and verifies size, digest and DiffID; what fails leaves nothing behind.
   * Throws ARCHIVE_…, LAYER_…_MISMATCH, ROOT_NO_SPACE, and what the source throws.
   */
  addLayer(source: LayerSource, options?: UnpackOptions): Promise<RootLayer>;
  /** Layers from the lowest up. Throws ROOT_MOUNT_FAILED. */
  mount(layers: readonly RootLayer[], options: RootOptions): Promise<MountedRoot>;
}
