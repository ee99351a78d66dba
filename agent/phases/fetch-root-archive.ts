/**
 * The archive that makes up a root, fetched as a layer of an image is: verified and kept while it streams.
 * Those stacked on it are unpacked into the mounted root, where links such as `lib -> usr/lib` lead where they mean to.
 */
import type { Artifact, Root, RootArchive } from "../job/job.ts";
import type { RootDriver, RootLayer } from "../root/root-driver.ts";
import { formatMegabytes } from "../text.ts";
import type { PhaseContext } from "./phase-runner.ts";
import { type ArchiveAdapters, takeArchive } from "./pull-archive.ts";

/** Archives on top of the first, as what they are to the root. */
export function listStackedArchives(root: Root | undefined): Artifact[] {
  if (!root || !("archives" in root)) return [];
  return root.archives.slice(1).map((archive) => ({ ...archive, to: "/" }));
}

export async function fetchRootArchive(
  archive: RootArchive,
  context: PhaseContext,
  adapters: ArchiveAdapters & { rootDriver: RootDriver },
): Promise<RootLayer> {
  const { log } = context;
  const layer = await takeArchive(archive, "rootfs", context, adapters, (source, options) =>
    adapters.rootDriver.addLayer(source, options),
  );
  for (const warning of layer.warnings) log.warn(`fetch: ${warning}`);
  const name = archive.url.split("/").at(-1);
  log.info(`fetch: ${name} has ${layer.files} files, ${formatMegabytes(layer.bytes)} MB`);
  return layer;
}
