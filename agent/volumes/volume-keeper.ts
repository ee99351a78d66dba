/**
 * Keeps a job's volumes from the boot's start to its end: makes them, unlocks them, mirrors them with S3 when the job says so,
 * gives them to containers, and removes those whose time is over. The rules are boot2container's.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join, normalize } from "node:path";
import { AgentError } from "../errors.ts";
import type { Mount } from "../job/step.ts";
import type { FileSystem, MirrorCondition, Volume } from "../job/volume.ts";
import { isKernelError, umount } from "../kernel/syscalls.ts";
import {
  type ContainerBind,
  type ContainerTmpfs,
  checkBindSource,
  planBind,
  planTmpfs,
} from "./container-mounts.ts";
import { copyUp } from "./copy-up.ts";
import type { LiveMirrorLimits } from "./limits.ts";
import type { VolumeLog } from "./mirror-run.ts";
import type { OpenBucket } from "./object-bucket.ts";
import { unlockVolume, type VolumeLock } from "./volume-encryption.ts";
import { createVolumeMirror, type VolumeMirror } from "./volume-mirror.ts";
import { createVolumePlaces, type VolumePlace } from "./volume-place.ts";

export interface VolumeKeeperOptions {
  /** A directory of its own on the store's file system. */
  volumesDir: string;
  volumes: readonly Volume[];
  fileSystems: readonly FileSystem[];
  openBucket: OpenBucket;
  mountFileSystem(fileSystem: FileSystem, target: string): Promise<void> | void;
  /**
   * Paths of the DUT that jobs bind though no DUT has them, such as boot2container's /storage: each stands for one directory
   * that is kept beside the volumes. What is missing below them is made.
   */
  sharedPaths?: readonly string[];
  liveLimits?: Partial<LiveMirrorLimits>;
  log: VolumeLog;
}

export interface VolumeKeeper {
  /** Everything before the first hook. Throws VOLUME_*, and what mounting a file system throws. */
  prepare(options: { signal: AbortSignal }): Promise<void>;
  /** Pulls and pushes of this condition; `changes` begin with `pipeline_start`. Throws S3_*, VOLUME_MIRROR_FAILED. */
  runHooks(on: MirrorCondition, options: { signal: AbortSignal }): Promise<void>;
  /** `rootPath`: the step's root, of which empty volumes get what it has in their place. Throws VOLUME_* errors, the step's own. */
  resolveMounts(
    mounts: readonly Mount[],
    options?: { rootPath?: string },
  ): { mounts: ContainerBind[]; tmpfs: ContainerTmpfs[] };
  /** The last complete run of live mirrors; then unmounts, takes keys away, removes what expires. Throws the first failure. */
  finish(options: { signal: AbortSignal }): Promise<void>;
}

/** No job's volume can have this name. */
const SHARED = "_shared";

interface KeptVolume {
  volume: Volume;
  place: VolumePlace;
  mirror?: VolumeMirror;
}

export function createVolumeKeeper(options: VolumeKeeperOptions): VolumeKeeper {
  const { volumesDir, log } = options;
  const places = createVolumePlaces(volumesDir);
  const kept = new Map<string, KeptVolume>();
  const locks: VolumeLock[] = [];
  const mounted: { name: string; path: string }[] = [];
  const expiring = new Set<string>();

  async function prepareVolume(volume: Volume): Promise<void> {
    const { name, expiration } = volume;
    const place = places.make(name, expiration);
    if (expiration === "pipeline_end") expiring.add(name);
    await mountOn(volume, place);
    const lock = unlockVolume(volume, place.dataPath);
    if (lock) locks.push(lock);
    const mirror = createVolumeMirror(volume, place.dataPath, options);
    kept.set(name, { volume, place, mirror });
  }

  async function mountOn({ name, fileSystem }: Volume, { dataPath }: VolumePlace): Promise<void> {
    if (fileSystem === undefined) return;
    const defined = options.fileSystems.find((each) => each.name === fileSystem);
    if (!defined) {
      throw new AgentError(
        "VOLUME_NO_FILE_SYSTEM",
        `Cannot use volume "${name}": the file system "${fileSystem}" is not defined`,
      );
    }
    await options.mountFileSystem(defined, dataPath);
    mounted.push({ name, path: dataPath });
  }

  function findVolume(name: string): VolumePlace {
    const known = kept.get(name);
    if (known) return known.place;
    const place = places.make(name, "never");
    // One that an earlier job encrypted needs that job's key.
    unlockVolume({ name, resetsFscryptKey: false }, place.dataPath);
    return place;
  }

  function makeAnonymous(): VolumePlace {
    const name = `_anonymous-${randomBytes(8).toString("hex")}`;
    expiring.add(name);
    return places.make(name, "pipeline_end");
  }

  function findBindSource(source: string): string {
    const path = normalize(source);
    const shared = options.sharedPaths?.find((prefix) => path === prefix || path.startsWith(`${prefix}/`));
    if (shared === undefined) {
      checkBindSource(path);
      return path;
    }
    const own = join(places.make(SHARED, "never").dataPath, path.slice(shared.length));
    mkdirSync(own, { recursive: true });
    return own;
  }

  return {
    async prepare({ signal }) {
      for (const name of await places.removeExpired())
        log.info(`volume "${name}": removed, its time was over`);
      for (const volume of options.volumes) {
        signal.throwIfAborted();
        await prepareVolume(volume);
      }
    },

    async runHooks(on, { signal }) {
      // Those that bring data in before those that start to send it out.
      for (const { mirror } of kept.values()) await mirror?.runHook(on, { signal });
      if (on === "pipeline_start") for (const { mirror } of kept.values()) mirror?.startLive();
    },

    resolveMounts(wanted, { rootPath } = {}) {
      const mounts: ContainerBind[] = [];
      const tmpfs: ContainerTmpfs[] = [];
      for (const mount of wanted) {
        if (mount.kind === "tmpfs") tmpfs.push(planTmpfs(mount));
        else if (mount.kind === "bind") mounts.push(planBind(findBindSource(mount.source ?? ""), mount));
        else {
          const place = mount.source === undefined ? makeAnonymous() : findVolume(mount.source);
          if (rootPath !== undefined && !mount.options.includes("nocopy"))
            copyUp({ rootPath, target: mount.target, dataPath: place.dataPath });
          mounts.push(planBind(place.dataPath, mount));
        }
      }
      return { mounts, tmpfs };
    },

    async finish({ signal }) {
      const failures: unknown[] = [];
      const attempt = async (what: string, run: () => Promise<void> | void) => {
        try {
          await run();
        } catch (error) {
          if (failures.length > 0) log.warn(`${what}: ${(error as Error).message}`);
          failures.push(error);
        }
      };
      for (const { volume, mirror } of kept.values())
        await attempt(`volume "${volume.name}"`, async () => mirror?.finish({ signal }));
      for (const lock of locks.splice(0)) await attempt("encryption keys", () => lock.close());
      const stuck = new Set<string>();
      for (const { name, path } of mounted.splice(0).reverse()) {
        await attempt(`file system of volume "${name}"`, () => {
          stuck.add(name);
          unmount(path);
          stuck.delete(name);
        });
      }
      for (const name of expiring) {
        // What is still mounted there is not ours to remove.
        if (stuck.has(name)) continue;
        await attempt(`volume "${name}"`, () => places.remove(name));
      }
      expiring.clear();
      kept.clear();
      if (failures.length > 0) throw failures[0];
    },
  };
}

function unmount(path: string): void {
  try {
    umount(path);
  } catch (error) {
    // A process that somehow lives on in there keeps it, and it goes with that process.
    if (!isKernelError(error, "EBUSY")) throw error;
    umount(path, { lazy: true });
  }
}
