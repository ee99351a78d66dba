/**
 * NFS as this machine reaches it: exports mounted by its own address and modules, and single files of exports.
 */
import { join } from "node:path";
import type { NfsExport, NfsRoot } from "../job/job.ts";
import type { OpenNfsFile } from "../net/archives/archive-opener.ts";
import { mountExportRoot } from "../root/drivers/existing-tree.ts";
import type { MountedRoot, RootOptions } from "../root/root-driver.ts";
import type { NetworkState } from "../sys/network/network.ts";
import { createNfsFiles } from "../sys/nfs/files.ts";
import { mountNfs, type NfsMountOptions } from "../sys/nfs/mount.ts";
import { completeNfsPlace } from "../sys/nfs/resolve-export.ts";

export interface NfsClient {
  mount(
    place: NfsExport,
    target: string,
    options: { isWritable: boolean; signal?: AbortSignal },
  ): Promise<void>;
  mountRoot(nfs: NfsRoot["nfs"], place: RootOptions, options: { signal: AbortSignal }): Promise<MountedRoot>;
  openFile: OpenNfsFile;
}

export interface NfsClientOptions extends Pick<NfsMountOptions, "loadModule" | "log"> {
  /** Absent where there is none. */
  network?: NetworkState;
  /** Takes mount points that come and go. */
  scratchDir: string;
}

export function createNfsClient({ network, scratchDir, ...options }: NfsClientOptions): NfsClient {
  const ownAddress = network?.interfaces[0]?.address;
  const mount: NfsClient["mount"] = (place, target, how) =>
    mountNfs(place, target, { ...options, ...how, ownAddress });
  const files = createNfsFiles({
    stateDir: join(scratchDir, "nfs"),
    mount: (place, target, how) => mount(place, target, { ...how, isWritable: false }),
  });
  return {
    mount,
    mountRoot(nfs, place, { signal }) {
      const { isWritable } = nfs;
      const from = completeNfsPlace(nfs, network ?? { interfaces: [] });
      const mountExport = (target: string) => mount(from, target, { isWritable, signal });
      return mountExportRoot({ isWritable, mountExport }, place);
    },
    openFile: files.open,
  };
}
