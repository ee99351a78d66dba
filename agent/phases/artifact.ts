/**
 * Phase "artifact": every `dut.artifact` is streamed, verified and unpacked into the mounted root, in parts where the
 * driver has some of it already.
 */
import type { Artifact } from "../job/job.ts";
import type { MountedRoot } from "../root/root-driver.ts";
import { formatMegabytes } from "../text.ts";
import type { PhaseContext } from "./phase-runner.ts";
import { type ArchiveAdapters, takeArchive } from "./pull-archive.ts";

export type ArtifactAdapters = ArchiveAdapters;

export async function unpackArtifacts(
  artifacts: readonly Artifact[],
  root: MountedRoot,
  context: PhaseContext,
  adapters: ArtifactAdapters,
): Promise<void> {
  const { log } = context;
  // One after the other: a later artifact may mean to replace files of an earlier one.
  for (const artifact of artifacts) {
    const unpacked = await takeArchive(artifact, "artifact", context, adapters, (source, options) =>
      root.unpackArchive(source, artifact.to, options),
    );
    for (const warning of unpacked.warnings) log.warn(`artifact: ${warning}`);
    log.info(
      `artifact: ${artifact.url.split("/").at(-1)} unpacked at ${artifact.to}: ${unpacked.files} files, ${formatMegabytes(unpacked.bytes)} MB`,
    );
  }
}
