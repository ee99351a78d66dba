/**
 * `manifest.json`: the files that were uploaded, with their hashes, and those that are missing. It is uploaded after all files and before
 * `verdict.json`. VERSION counts breaking changes.
 */
import type { ErrorCode } from "../errors.ts";

const MANIFEST_VERSION = 1 as const;

export interface ManifestEntry {
  /** Path below the results' URL, with `/` between parts. */
  name: string;
  sizeBytes: number;
  /** Lower-case hex. */
  sha256: string;
}

export interface ResultsManifest {
  version: typeof MANIFEST_VERSION;
  bootId: string;
  /** Sorted by name, without the manifest and the verdict. */
  files: ManifestEntry[];
  count: number;
  totalBytes: number;
  /** Files that could not be uploaded. */
  missing: { name: string; code: ErrorCode; message: string }[];
  /** Links, devices and the like, which are not uploaded. */
  leftOut: string[];
  /** Files removed between the end of the test and their upload. */
  vanished: string[];
  /** Files that were uploaded while the test ran, and that it removed later. */
  removed: ManifestEntry[];
}

export type ManifestFacts = Omit<ResultsManifest, "version" | "count" | "totalBytes">;

export function formatManifest({ bootId, files, ...facts }: ManifestFacts): string {
  const manifest: ResultsManifest = {
    version: MANIFEST_VERSION,
    bootId,
    count: files.length,
    totalBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    files: files.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    ...facts,
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}
