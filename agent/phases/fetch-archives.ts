/**
 * Archives that make up a root, fetched as the layers of an image are: each verified and kept while it streams.
 */
import type { RootArchive } from "../job/job.ts";
import type { RootDriver, RootLayer } from "../root/root-driver.ts";
import { formatMegabytes } from "../wire/megabytes.ts";
import { type ArchiveAdapters, takeArchive } from "./archive-source.ts";
import type { PhaseContext } from "./phase-runner.ts";

export async function fetchRootArchives(
  archives: readonly RootArchive[],
  context: PhaseContext,
  adapters: ArchiveAdapters & { rootDriver: RootDriver },
): Promise<RootLayer[]> {
  const { log } = context;
  const layers: RootLayer[] = [];
  for (const archive of archives) {
    const layer = await takeArchive(archive, "rootfs", context, adapters, (source, options) =>
      adapters.rootDriver.addLayer(source, options),
    );
    for (const warning of layer.warnings) log.warn(`fetch: ${warning}`);
    const name = archive.url.split("/").at(-1);
    log.info(`fetch: ${name} has ${layer.files} files, ${formatMegabytes(layer.bytes)} MB`);
    layers.push(layer);
  }
  return layers;
}
