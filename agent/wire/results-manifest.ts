/**
 * `manifest.json`: what lies at the place of the results, file by file with its hash, and what should lie there and does not.
 * It goes up after all files and before `verdict.json`; VERSION counts its breaking changes.
 */
import type { ErrorCode } from "../errors.ts";

const MANIFEST_VERSION = 1 as const;

export interface ManifestEntry {
  /** Path below the place of the results, with `/` between parts. */
  name: string;
  sizeBytes: number;
  /** Lower-case hex. */
  sha256: string;
}

export interface ResultsManifest {
  version: typeof MANIFEST_VERSION;
  bootId: string;
  /** Sorted by name; neither the manifest nor the verdict is among them. */
  files: ManifestEntry[];
  count: number;
  totalBytes: number;
  /** What could not be uploaded. */
  missing: { name: string; code: ErrorCode; message: string }[];
  /** Links, devices and the like, which stay on the DUT. */
  leftOut: string[];
  /** What was removed between the end of the test and its upload. */
  vanished: string[];
  /** What the test removed, as it was uploaded while the test ran. */
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
