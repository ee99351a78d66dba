/**
 * Opens the store of a job, in RAM, on the cache device or on a file system of the job, and keeps it within its quota.
 */
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statfsSync,
} from "node:fs";
import { toAgentError } from "../errors.ts";
import type { CacheQuota, Dialect, Job } from "../job/job.ts";
import { isKernelError, mount, umount } from "../kernel/syscalls.ts";
import { MEMORY_RESERVE_BYTES } from "../limits.ts";
import type { CacheOutcome } from "../wire/b2c-console.ts";
import { mountCacheDevice } from "./device/cache-device.ts";
import type { PlanOptions } from "./device/choose-device.ts";
import { DigestIndex } from "./digest-index.ts";
import { type CollectResult, collect, putReference, type Reference } from "./garbage-collect.ts";
import { RAM_STORE_SHARE } from "./limits.ts";
import { type ObjectStore, openObjectStore } from "./object-store.ts";
import { listObjects, openStoreLayout, type StoreLayout } from "./store-layout.ts";

export interface OpenStore {
  /** A `cache` is on a device or file system and is kept for the next boot. */
  kind: "ram" | "cache";
  /** For boot2container's console lines. */
  outcome: CacheOutcome;
  objects: ObjectStore;
  layout: StoreLayout;
  /** The file system's mount point, which has other folders besides the store's. */
  path: string;
  /** For the root's writable layer and the like; emptied at the next start. */
  scratchDir: string;
  readFreeBytes(): number;
  /** Records a use, which protects from garbage collection. */
  remember(reference: { id: string; name: string; trees: readonly string[]; image?: string }): void;
  /** If the kernel reported damage to a sealed file, reads all objects and deletes damaged ones. Returns their number. */
  dropDamagedObjects(): Promise<number>;
  /** Deletes what exceeds the quota, except what was used in this boot. */
  collect(): CollectResult;
  close(): void;
}

export interface OpenStoreOptions {
  path: string;
  log: { info(line: string): void; warn(line: string): void; error(line: string): void };
  signal: AbortSignal;
  /** Decides what may be done to a disk, and whether the job continues without a cache. */
  dialect?: Dialect;
  /** Instead of a device; without `mount` if the job has no file system with this name. */
  cacheFileSystem?: { name: string; mount?: (target: string) => Promise<void> };
  /** How long a device may take to appear. */
  waitMs?: number;
  isSpareDisk?: PlanOptions["isSpareDisk"];
}

/** Throws STORE_* errors; but a boot2container job continues in RAM when its cache fails, as with boot2container. */
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
    log.error("cache: this job runs without a cache: it fetches everything again and keeps it in RAM");
    unmountIfMounted(path);
    outcome = { kind: "failed", reason: message };
  }
  const sizeBytes = mountRamStore(path);
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
    const { name, mount: mountOn } = cacheFileSystem;
    if (!mountOn) {
      const answers = "neither 'none', 'auto', a path to a block device, or a valid b2c.filesystem name";
      log.error(`cache: this job runs without a cache: there is no file system "${name}"`);
      return { kind: "failed", reason: `The caching parameter '${name}' is ${answers}` };
    }
    mkdirSync(path, { recursive: true });
    await mountOn(path);
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
    // Lazy, because a file on it may still be open.
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
  const { layout, dropped } = openStoreLayout(path, {
    onDamage: (what) => log.warn(`store: deleted ${what}: it was damaged on the disk`),
  });
  if (dropped.length > 0)
    log.warn(`store: deleted ${dropped.length} incomplete writes of an interrupted boot`);
  const objects = await openObjectStore(layout);
  if (isMounted(outcome)) log.info(`store: ${layout.path}${objects.seals ? ", sealed by fs-verity" : ""}`);
  const pinned = new Set<string>();
  return {
    kind: isMounted(outcome) ? "cache" : "ram",
    outcome,
    objects,
    layout,
    path,
    scratchDir: openScratch(path, objects),
    readFreeBytes: () => readFreeBytes(path),
    remember({ id, name, trees, image }) {
      pinned.add(id);
      const used: Reference = { kind: "image", name, trees: [...trees], usedAtMs: Date.now() };
      putReference(layout, id, image === undefined ? used : { ...used, image });
    },
    async dropDamagedObjects() {
      if (!objects.seals || !hasVerityError()) return 0;
      const { lost } = await objects.check(listObjects(layout), { trustsSeals: false });
      for (const verity of lost) layout.onDamage(`object ${verity}`);
      return lost.length;
    },
    collect: () =>
      collect(layout, new DigestIndex(layout), { quotaBytes: measureQuota(quota, path), pinned }),
    close: () => layout.close(),
  };
}

/** Superblock magics of file systems over a network (linux/magic.h): NFS, CIFS, SMB 2, 9p, FUSE. */
const REMOTE_MAGICS = new Set([0x6969, 0xff534d42, 0xfe534d42, 0x01021997, 0x65735546]);
const REMOTE_SCRATCH = "/run/dutboot/scratch";

/** overlayfs cannot have a writable layer on a network file system; then what a job writes is kept in RAM. */
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

/** CONSOLE_EXT_LOG_MAX of the kernel. */
const RECORD_MAX_BYTES = 8192;
const VERITY_ERROR = /fs-verity \(.*\): FILE CORRUPTED!/;

/** Since power-on. False if the kernel log cannot be read. */
export function hasVerityError(path = "/dev/kmsg"): boolean {
  const buffer = Buffer.alloc(RECORD_MAX_BYTES);
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    for (;;) {
      const length = readRecord(fd, buffer);
      if (length === 0) return false;
      if (VERITY_ERROR.test(buffer.toString("latin1", 0, length))) return true;
    }
  } finally {
    closeSync(fd);
  }
}

/** Reads one record; 0 after the last. */
function readRecord(fd: number, buffer: Buffer): number {
  for (;;) {
    try {
      return readSync(fd, buffer);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EAGAIN") return 0;
      // Overwritten before it was read; the next read gets newer records.
      if (code !== "EPIPE") throw error;
    }
  }
}

/** A tmpfs, because the initramfs is a ramfs without xattrs when the command line has `root=`. Returns its size in bytes. */
function mountRamStore(path: string): number {
  const sizeBytes = planRamStore(readMemoryInfo("MemTotal"), readMemoryInfo("MemAvailable"));
  mkdirSync(path, { recursive: true });
  mount({ source: "dutboot-store", target: path, type: "tmpfs", data: `size=${sizeBytes},mode=0755` });
  return sizeBytes;
}

/**
 * A share of all memory, but no more than is available besides the agent's: with more, the kernel would kill the agent
 * before the tmpfs is full.
 */
export function planRamStore(totalBytes: number, availableBytes: number): number {
  const spareBytes = Math.max(availableBytes - MEMORY_RESERVE_BYTES, availableBytes / 2);
  return Math.floor(Math.min(totalBytes * RAM_STORE_SHARE, spareBytes));
}

/** Free space below `path`; for a tmpfs, at most the available memory. */
export function readFreeBytes(path: string): number {
  const { bavail, bsize, type } = statfsSync(path);
  const freeBytes = bavail * bsize;
  return type === TMPFS_MAGIC ? Math.min(freeBytes, readMemoryInfo("MemAvailable")) : freeBytes;
}

const TMPFS_MAGIC = 0x01021994;

function readMemoryInfo(field: "MemTotal" | "MemAvailable"): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(readFileSync("/proc/meminfo", "utf8"));
  if (!match) throw new Error(`Cannot find "${field}" in /proc/meminfo`);
  return Number(match[1]) * 1024;
}
