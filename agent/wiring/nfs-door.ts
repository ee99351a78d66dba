/**
 * NFS as this machine reaches it: exports mounted by its own address and modules, and single files of exports.
 */
import { closeSync, constants, mkdtempSync, openSync, rmdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { AgentError } from "../errors.ts";
import type { NfsExport, NfsRoot } from "../job/job.ts";
import { parseNfsUrl } from "../job/sources.ts";
import { O_DIRECTORY, O_PATH, openInRoot } from "../kernel/files.ts";
import { umount } from "../kernel/syscalls.ts";
import type { OpenNfsFile } from "../net/archive-opener.ts";
import type { MountedRoot, RootOptions } from "../root/root-driver.ts";
import { mountExportRoot } from "../root/tree-root.ts";
import type { NetworkState } from "../sys/network.ts";
import { mountNfs, type NfsMountOptions } from "../sys/nfs-mount.ts";
import { completeNfsPlace } from "../sys/nfs-place.ts";

export interface NfsDoor {
  mount(
    place: NfsExport,
    target: string,
    options: { isWritable: boolean; signal?: AbortSignal },
  ): Promise<void>;
  mountRoot(nfs: NfsRoot["nfs"], place: RootOptions, options: { signal: AbortSignal }): Promise<MountedRoot>;
  openFile: OpenNfsFile;
}

export interface NfsDoorOptions extends Pick<NfsMountOptions, "loadModule" | "log"> {
  /** Absent where there is none. */
  network?: NetworkState;
  /** Takes mount points that come and go. */
  scratchDir: string;
}

export function createNfsDoor({ network, scratchDir, ...options }: NfsDoorOptions): NfsDoor {
  const ownAddress = network?.interfaces[0]?.address;
  const mount: NfsDoor["mount"] = (place, target, how) =>
    mountNfs(place, target, { ...options, ...how, ...(ownAddress !== undefined && { ownAddress }) });
  return {
    mount,
    mountRoot(nfs, place, { signal }) {
      const { isWritable } = nfs;
      const from = completeNfsPlace(nfs, network ?? { interfaces: [] });
      const mountExport = (target: string) => mount(from, target, { isWritable, signal });
      return mountExportRoot({ isWritable, mountExport }, place);
    },
    async openFile(url, { signal }) {
      const place = parseNfsUrl(url);
      const target = mkdtempSync(join(scratchDir, "nfs-"));
      await mount({ ...place, path: dirname(place.path) }, target, {
        isWritable: false,
        ...(signal && { signal }),
      });
      try {
        const fd = openFileBelow(target, basename(place.path), url);
        return { fd, close: closeOnce(fd) };
      } finally {
        // The open file holds on to the mount.
        umount(target, { lazy: true });
        rmdirSync(target);
      }
    },
  };
}

function openFileBelow(directory: string, name: string, url: string): number {
  const directoryFd = openSync(directory, O_PATH | O_DIRECTORY);
  try {
    return openInRoot(directoryFd, name, constants.O_RDONLY);
  } catch (cause) {
    const answer = (cause as Error).message;
    throw new AgentError("SOURCE_NOT_FOUND", `Cannot open "${url}": ${answer}`, { cause });
  } finally {
    closeSync(directoryFd);
  }
}

function closeOnce(fd: number): () => void {
  let isOpen = true;
  return () => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
}
