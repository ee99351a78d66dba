/**
 * Phase "artifact": every `dut.artifact` is streamed, verified and unpacked into the mounted root.
 */

import type { Artifact } from "../job/job.ts";
import type { HttpClient } from "../net/http-client.ts";
import type { startProgress } from "../report/progress.ts";
import type { MountedRoot } from "../root/root-driver.ts";
import { formatMegabytes } from "../wire/megabytes.ts";
import type { PhaseContext } from "./phase-runner.ts";

export interface ArtifactAdapters {
  http: HttpClient;
  startProgress: typeof startProgress;
}

export async function unpackArtifacts(
  artifacts: readonly Artifact[],
  root: MountedRoot,
  { log, signal }: PhaseContext,
  { http, startProgress }: ArtifactAdapters,
): Promise<void> {
  // One after the other: a later artifact may mean to replace files of an earlier one.
  for (const artifact of artifacts) {
    const name = artifact.url.split("/").at(-1);
    const response = await http.fetch(artifact.url, { signal, hasDigest: artifact.sha256 !== undefined });
    const progress = startProgress({
      title: "artifact",
      ...(response.sizeBytes !== undefined && { totalBytes: response.sizeBytes }),
      onLine: (line) => log.info(line),
    });
    let seenBytes = 0;
    try {
      const unpacked = await root.unpackArchive(
        {
          open: async () => response.body,
          ...(artifact.sha256 && { digest: `sha256:${artifact.sha256}` }),
        },
        artifact.to,
        {
          signal,
          onProgress: ({ bytesIn }) => {
            progress.add(bytesIn - seenBytes);
            seenBytes = bytesIn;
          },
        },
      );
      for (const warning of unpacked.warnings) log.warn(`artifact: ${warning}`);
      log.info(
        `artifact: ${name} unpacked at ${artifact.to}: ${unpacked.files} files, ${formatMegabytes(unpacked.bytes)} MB`,
      );
    } finally {
      progress.stop();
    }
  }
}
