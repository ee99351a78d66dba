/**
 * Opens the store that a job asks for, in RAM, on its cache device or on a file system it names, and keeps it within its quota.
 */
import { mkdirSync, rmSync, statfsSync } from "node:fs";
import { toAgentError } from "../errors.ts";
import type { CacheQuota, Dialect, Job } from "../job/job.ts";
import { isKernelError, umount } from "../kernel/syscalls.ts";
import type { CacheOutcome } from "../wire/b2c-console.ts";
import { mountCacheDevice } from "./device/cache-device.ts";
import type { PlanOptions } from "./device/choose-device.ts";
import { mountRamStore, readFreeBytes } from "./device/ram-store.ts";
import { openDigestIndex } from "./digest-index.ts";
import { type CollectResult, collect, putReference, type Reference } from "./garbage-collect.ts";
import { type ObjectStore, openObjectStore } from "./object-store.ts";
import { listObjects, openStoreLayout, type StoreLayout } from "./store-layout.ts";
import { hasVerityComplaint } from "./verity-errors.ts";

export interface OpenStore {
  /** `cache`: on a device or a file system, and here again at the next boot. */
  kind: "ram" | "cache";
  /** For those who wait to read it. */
  outcome: CacheOutcome;
  objects: ObjectStore;
  place: StoreLayout;
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
  log: { info(line: string): void; warn(line: string): void; error(line: string): void };
  signal: AbortSignal;
  /** Decides what the cache may do to a disk, and whether the job goes on without it; ours where absent. */
  dialect?: Dialect;
  /** In place of a device; without `mount` there is none of that name. */
  cacheFileSystem?: { name: string; mount?: (target: string) => Promise<void> };
  /** How long a device may take to appear. */
  waitMs?: number;
  isSpareDisk?: PlanOptions["isSpareDisk"];
}

/**
 * Throws STORE_* errors; but a boot2container job goes on in RAM, whatever is wrong with its cache, as it would there,
 * and says so.
 */
export async function openStore(cache: Job["cache"], options: OpenStoreOptions): Promise<OpenStore> {
  const { path, log, signal, dialect = "dut" } = options;
  let outcome: CacheOutcome;
  try {
    outcome = await mountCache(cache, dialect, options);
    if (isMounted(outcome)) return await openOn(cache.quota, outcome, options);
  } catch (error) {
    signal.throwIfAborted();
    if (dialect !== "b2c") throw error;
    const { code, message, hint } = toAgentError(error);
    log.error(`cache: ${code}: ${message}. ${hint}`);
    log.error("cache: NO CACHE in this job: everything is fetched again and kept in RAM");
    unmountIfMounted(path);
    outcome = { kind: "failed", reason: message };
  }
  const { sizeBytes } = mountRamStore(path);
  log.info(`store: in RAM, at most ${(sizeBytes / 1e6).toFixed(0)} MB`);
  return openOn(cache.quota, outcome, options);
}

function isMounted({ kind }: CacheOutcome): boolean {
  return kind === "device" || kind === "file-system";
}

async function mountCache(
  { choice, mayFormat }: Job["cache"],
  dialect: Dialect,
  { path, log, cacheFileSystem, signal, waitMs, isSpareDisk }: OpenStoreOptions,
): Promise<CacheOutcome> {
  if (cacheFileSystem) {
    const { name, mount } = cacheFileSystem;
    if (!mount) {
      const answers = "neither 'none', 'auto', a path to a block device, or a valid b2c.filesystem name";
      log.error(`cache: NO CACHE in this job: no file system is called "${name}"`);
      return { kind: "failed", reason: `The caching parameter '${name}' is ${answers}` };
    }
    mkdirSync(path, { recursive: true });
    await mount(path);
    log.info(`cache: the file system ${name} mounted`);
    return { kind: "file-system", name };
  }
  if (choice === "none") return { kind: "none" };
  const device = await mountCacheDevice(choice, path, {
    dialect,
    mayFormat,
    log,
    signal,
    waitMs,
    isSpareDisk,
  });
  return device
    ? { kind: "device", device: device.path, target: path, isMounted: true }
    : { kind: "no-disk" };
}

function unmountIfMounted(path: string): void {
  try {
    // Lazily: what failed may have left a file of it open.
    umount(path, { lazy: true });
  } catch (error) {
    if (!isKernelError(error, "EINVAL", "ENOENT")) throw error;
  }
}

async function openOn(
  quota: CacheQuota,
  outcome: CacheOutcome,
  { path, log }: OpenStoreOptions,
): Promise<OpenStore> {
  const { place, dropped } = openStoreLayout(path, {
    onDamage: (what) => log.warn(`store: dropped ${what}: the disk has changed it`),
  });
  if (dropped.length > 0)
    log.warn(`store: dropped ${dropped.length} half-written things of a boot that was cut off`);
  const objects = await openObjectStore(place);
  if (isMounted(outcome)) log.info(`store: ${place.path}${objects.seals ? ", sealed by fs-verity" : ""}`);
  const pinned = new Set<string>();
  return {
    kind: isMounted(outcome) ? "cache" : "ram",
    outcome,
    objects,
    place,
    path,
    scratchDir: openScratch(path, objects),
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
    collect: () => collect(place, openDigestIndex(place), { quotaBytes: measureQuota(quota, path), pinned }),
    close: () => place.close(),
  };
}

/** Superblock magics of file systems over a network (linux/magic.h): NFS, CIFS, SMB 2, 9p, FUSE. */
const REMOTE_MAGICS = new Set([0x6969, 0xff534d42, 0xfe534d42, 0x01021997, 0x65735546]);
const REMOTE_SCRATCH = "/run/dutboot/scratch";

/** overlayfs takes no writable layer on a file system of another machine; then what a job writes stays in RAM. */
function openScratch(path: string, objects: ObjectStore): string {
  if (!REMOTE_MAGICS.has(statfsSync(path).type)) return objects.createStaging();
  rmSync(REMOTE_SCRATCH, { recursive: true, force: true });
  mountRamStore(REMOTE_SCRATCH);
  return REMOTE_SCRATCH;
}

function measureQuota(quota: CacheQuota, path: string): number {
  if ("bytes" in quota) return quota.bytes;
  const { blocks, bsize } = statfsSync(path);
  return Math.floor((blocks * bsize * quota.percent) / 100);
}
