/**
 * Opens the store that a job asks for, in RAM or on its cache device, and keeps it within its quota.
 */
import { statfsSync } from "node:fs";
import type { CacheQuota, Job } from "../job/job.ts";
import { mountCacheDevice } from "./cache-device.ts";
import { type CollectResult, collect, putReference, type Reference } from "./collect.ts";
import { openDigestIndex } from "./digest-index.ts";
import { hasVerityComplaint } from "./kernel-complaints.ts";
import { type ObjectStore, openObjectStore } from "./object-store.ts";
import { mountRamStore, readFreeBytes } from "./ram-store.ts";
import { listObjects, openStorePlace } from "./store-place.ts";

export interface OpenStore {
  /** `cache`: on a device, and here again at the next boot. */
  kind: "ram" | "cache";
  objects: ObjectStore;
  /** The file system's mount point, for what lies beside the store's own place. */
  path: string;
  /** Emptied at the next start: the root's writable layer and the like. */
  scratchDir: string;
  readFreeBytes(): number;
  /** Remembers what was used, so that it is kept longest. */
  remember(reference: { id: string; name: string; trees: readonly string[]; image?: string }): void;
  /** Reads all that is sealed once the kernel complained of some of it, and drops what is damaged: how many objects. */
  dropDamagedObjects(): Promise<number>;
  /** Drops what the quota has no room for; nothing that was remembered in this boot. */
  collect(): CollectResult;
  close(): void;
}

export interface OpenStoreOptions {
  path: string;
  log: { info(line: string): void; warn(line: string): void };
  signal: AbortSignal;
}

/** Throws STORE_* errors. */
export async function openStore(
  cache: Job["cache"],
  { path, log, signal }: OpenStoreOptions,
): Promise<OpenStore> {
  const { choice, mayFormat } = cache;
  const device =
    choice === "none" ? undefined : await mountCacheDevice(choice, path, { mayFormat, log, signal });
  if (!device) {
    const { sizeBytes } = mountRamStore(path);
    log.info(`store: in RAM, at most ${(sizeBytes / 1e6).toFixed(0)} MB`);
  }
  const { place, dropped } = openStorePlace(path, {
    onDamage: (what) => log.warn(`store: dropped ${what}: the disk has changed it`),
  });
  if (dropped.length > 0)
    log.warn(`store: dropped ${dropped.length} half-written things of a boot that was cut off`);
  const objects = await openObjectStore(place);
  if (device) log.info(`store: ${place.path}${objects.seals ? ", sealed by fs-verity" : ""}`);
  const pinned = new Set<string>();
  return {
    kind: device ? "cache" : "ram",
    objects,
    path,
    scratchDir: objects.createStaging(),
    readFreeBytes: () => readFreeBytes(path),
    remember({ id, name, trees, image }) {
      pinned.add(id);
      const used: Reference = { kind: "image", name, trees: [...trees], usedAtMs: Date.now() };
      putReference(place, id, image === undefined ? used : { ...used, image });
    },
    async dropDamagedObjects() {
      if (!objects.seals || !hasVerityComplaint()) return 0;
      const { lost } = await objects.check(listObjects(place), { trustsSeals: false });
      for (const verity of lost) place.onDamage(`object ${verity}`);
      return lost.length;
    },
    collect: () =>
      collect(place, openDigestIndex(place), { quotaBytes: measureQuota(cache.quota, path), pinned }),
    close: () => place.close(),
  };
}

function measureQuota(quota: CacheQuota, path: string): number {
  if ("bytes" in quota) return quota.bytes;
  const { blocks, bsize } = statfsSync(path);
  return Math.floor((blocks * bsize * quota.percent) / 100);
}
