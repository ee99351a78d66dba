/**
 * Archives by URL. The first archive of a root becomes its layer (phase "fetch"); those stacked on it, and every `dut.artifact`, are
 * unpacked into the mounted root (phase "artifact"), where links such as `lib -> usr/lib` lead where they should.
 */
import type { Artifact, Root, RootArchive } from "../job/job.ts";
import type { ArchiveOpener } from "../net/archives/archive-opener.ts";
import { hideSecrets } from "../redaction/patterns.ts";
import type { startProgress } from "../report/log/progress.ts";
import type { LayerSource, MountedRoot, RootDriver, RootLayer, UnpackOptions } from "../root/root-driver.ts";
import { formatMegabytes } from "../text.ts";
import type { EventBody } from "../wire/event.ts";
import { trackTransfer } from "./fetch.ts";
import type { PhaseContext } from "./phase-runner.ts";

export interface ArchiveAdapters {
  openArchive: ArchiveOpener;
  startProgress: typeof startProgress;
  emit: (event: EventBody) => void;
}

export async function fetchRootArchive(
  archive: RootArchive,
  phase: PhaseContext,
  adapters: ArchiveAdapters & { rootDriver: RootDriver },
): Promise<RootLayer> {
  const { log } = phase;
  const layer = await pullArchive(archive, "rootfs", phase, adapters, (source, options) =>
    adapters.rootDriver.addLayer(source, options),
  );
  for (const warning of layer.warnings) log.warn(`fetch: ${warning}`);
  log.info(`fetch: ${nameOf(archive)} has ${layer.files} files, ${formatMegabytes(layer.bytes)} MB`);
  return layer;
}

/** The archives of a root after the first, as artifacts. */
export function listStackedArchives(root: Root | undefined): Artifact[] {
  if (!root || !("archives" in root)) return [];
  return root.archives.slice(1).map((archive) => ({ ...archive, to: "/" }));
}

export async function unpackArtifacts(
  artifacts: readonly Artifact[],
  root: MountedRoot,
  phase: PhaseContext,
  adapters: ArchiveAdapters,
): Promise<void> {
  const { log } = phase;
  // In turn: a later artifact may replace files of an earlier one.
  for (const artifact of artifacts) {
    const { to } = artifact;
    const unpacked = await pullArchive(artifact, "artifact", phase, adapters, (source, options) =>
      root.unpackArchive(source, to, options),
    );
    for (const warning of unpacked.warnings) log.warn(`artifact: ${warning}`);
    const size = `${unpacked.files} files, ${formatMegabytes(unpacked.bytes)} MB`;
    log.info(`artifact: ${nameOf(artifact)} unpacked at ${to}: ${size}`);
  }
}

const nameOf = ({ url }: { url: string }) => url.split("/").at(-1);

/** `title` begins every progress line. */
async function pullArchive<Result>(
  archive: Pick<RootArchive, "url" | "sha256" | "tableSha256">,
  title: string,
  { log, signal }: PhaseContext,
  { openArchive, startProgress, emit }: ArchiveAdapters,
  unpack: (source: LayerSource, options: UnpackOptions) => Promise<Result>,
): Promise<Result> {
  const { url, sha256, tableSha256 } = archive;
  const opened = openArchive(url, { isVerified: (sha256 ?? tableSha256) !== undefined });
  const progress = startProgress({ title, onLine: (line) => log.info(line) });
  const name = hideSecrets(nameOf(archive) ?? url);
  const source: LayerSource = {
    async open() {
      const { sizeBytes, body } = await opened.open({ signal, hasDigest: sha256 !== undefined });
      if (sizeBytes !== undefined) progress.setTotal(sizeBytes);
      return body;
    },
    parts: { ...opened.parts, tableDigest: tableSha256 && `sha256:${tableSha256}` },
    digest: sha256 && `sha256:${sha256}`,
  };
  try {
    return await trackTransfer({ kind: "archive", name }, { progress, emit }, ({ onProgress, onReuse }) =>
      unpack(source, {
        signal,
        onProgress,
        onReuse(bytes, totalBytes) {
          progress.setTotal(totalBytes);
          onReuse(bytes, totalBytes);
        },
      }),
    );
  } finally {
    progress.stop();
  }
}
