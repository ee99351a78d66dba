/**
 * Phase "artifact": every `dut.artifact` is streamed, verified and unpacked into the mounted root, in parts where the
 * driver has some of it already.
 */

import type { Artifact } from "../job/job.ts";
import type { ArchiveOpener } from "../net/archive-opener.ts";
import type { startProgress } from "../report/progress.ts";
import type { LayerSource, MountedRoot } from "../root/root-driver.ts";
import { formatMegabytes } from "../wire/megabytes.ts";
import type { PhaseContext } from "./phase-runner.ts";

export interface ArtifactAdapters {
  openArchive: ArchiveOpener;
  startProgress: typeof startProgress;
}

export async function unpackArtifacts(
  artifacts: readonly Artifact[],
  root: MountedRoot,
  { log, signal }: PhaseContext,
  { openArchive, startProgress }: ArtifactAdapters,
): Promise<void> {
  // One after the other: a later artifact may mean to replace files of an earlier one.
  for (const { url, to, sha256, tableSha256 } of artifacts) {
    const name = url.split("/").at(-1);
    const archive = openArchive(url);
    const progress = startProgress({ title: "artifact", onLine: (line) => log.info(line) });
    let seenBytes = 0;
    const source: LayerSource = {
      async open() {
        const { sizeBytes, body } = await archive.open({ signal, hasDigest: sha256 !== undefined });
        if (sizeBytes !== undefined) progress.setTotal(sizeBytes);
        return body;
      },
      parts: { ...archive.parts, ...(tableSha256 && { tableDigest: `sha256:${tableSha256}` }) },
      ...(sha256 && { digest: `sha256:${sha256}` }),
    };
    try {
      const unpacked = await root.unpackArchive(source, to, {
        signal,
        onProgress: ({ bytesIn }) => {
          progress.add(bytesIn - seenBytes);
          seenBytes = bytesIn;
        },
        onReuse: (bytes, totalBytes) => {
          progress.setTotal(totalBytes);
          progress.reuse(bytes);
        },
      });
      for (const warning of unpacked.warnings) log.warn(`artifact: ${warning}`);
      log.info(
        `artifact: ${name} unpacked at ${to}: ${unpacked.files} files, ${formatMegabytes(unpacked.bytes)} MB`,
      );
    } finally {
      progress.stop();
    }
  }
}
