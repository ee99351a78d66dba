/**
 * The list of what is in an image: for people and tools as JSON, for the check at boot as `sha256sum -c` reads it.
 * Kernels only log a truncated initramfs and boot on, so init compares every file before the agent starts.
 */
import { createHash } from "node:crypto";
import type { ImageFile } from "./image-file.ts";

export interface ManifestEntry {
  path: string;
  /** Package and version. */
  origin: string;
  sizeBytes?: number;
  sha256?: string;
  link?: string;
}

export interface Manifest {
  version: 1;
  arch: string;
  files: ManifestEntry[];
}

/** Regular files and links, by path; devices and folders have nothing to compare. */
export function createManifest(arch: string, files: readonly ImageFile[]): Manifest {
  const entries: ManifestEntry[] = [];
  for (const { path, origin, content } of files) {
    if (content.kind === "symlink") entries.push({ path, origin, link: content.target });
    if (content.kind !== "bytes") continue;
    const sha256 = createHash("sha256").update(content.bytes).digest("hex");
    entries.push({ path, origin, sizeBytes: content.bytes.length, sha256 });
  }
  return { version: 1, arch, files: entries.sort((a, b) => (a.path < b.path ? -1 : 1)) };
}

/** One line per regular file, absolute paths. RangeError for a name the format would have to escape. */
export function formatChecksums({ files }: Manifest): string {
  return files
    .filter(({ sha256 }) => sha256 !== undefined)
    .map(({ path, sha256 }) => {
      if (/[\n\\]/.test(path)) throw new RangeError(`Cannot list "${path}": sha256sum would escape it`);
      return `${sha256}  /${path}\n`;
    })
    .join("");
}
