/**
 * Manages a job's volumes: creates, unlocks and mirrors them, mounts them in containers, and removes expired ones. The rules are
 * boot2container's.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync } from "node:fs";
import { join, normalize } from "node:path";
import { AgentError } from "../errors.ts";
import type { Mount } from "../job/step.ts";
import type { FileSystem, MirrorCondition, Volume } from "../job/volume.ts";
import { isKernelError, umount } from "../kernel/syscalls.ts";
import {
  type ContainerBind,
  type ContainerTmpfs,
  checkBindSource,
  copyUp,
  planBind,
  planTmpfs,
} from "./container-mounts.ts";
import type { LiveMirrorLimits } from "./limits.ts";
import type { VolumeLog } from "./mirror-run.ts";
import type { OpenBucket } from "./object-bucket.ts";
import { createVolumeDirectories, type VolumeDirectory } from "./volume-directory.ts";
import { unlockVolume, type VolumeLock } from "./volume-encryption.ts";
import { createVolumeMirror, type VolumeMirror } from "./volume-mirror.ts";

export interface VolumeManagerOptions {
  /** Their directory, on the store's file system. */
  volumesDir: string;
  volumes: readonly Volume[];
  fileSystems: readonly FileSystem[];
  openBucket: OpenBucket;
  mountFileSystem(fileSystem: FileSystem, target: string): Promise<void> | void;
  /**
   * Paths that jobs bind although the DUT lacks them, such as boot2container's /storage: they share one directory beside the
   * volumes. Missing directories below are created.
   */
  sharedPaths?: readonly string[];
  liveLimits?: Partial<LiveMirrorLimits>;
  log: VolumeLog;
}

export interface VolumeManager {
  /** To be called before the hooks. Throws VOLUME_* and the errors of `mountFileSystem`. */
  prepare(options: { signal: AbortSignal }): Promise<void>;
  /** Runs the mirrors of this condition; `changes` start with `pipeline_start`. Throws S3_*, VOLUME_MIRROR_FAILED. */
  runHooks(on: MirrorCondition, options: { signal: AbortSignal }): Promise<void>;
  /** `rootPath`: the step's root, whose content is copied into empty volumes. Throws VOLUME_*, which fail the step. */
  resolveMounts(
    mounts: readonly Mount[],
    options?: { rootPath?: string },
  ): { mounts: ContainerBind[]; tmpfs: ContainerTmpfs[] };
  /** A container with these mounts ran. */
  noteRun(mounts: readonly Mount[]): void;
  /** Completes live mirrors, unmounts, removes keys, deletes expired volumes. Throws the first failure. */
  finish(options: { signal: AbortSignal }): Promise<void>;
}

/** Not a valid name in a job. */
const SHARED = "_shared";

interface KeptVolume {
  volume: Volume;
  directory: VolumeDirectory;
  mirror?: VolumeMirror;
}

export function createVolumeManager(options: VolumeManagerOptions): VolumeManager {
  const { volumesDir, log } = options;
  const directories = createVolumeDirectories(volumesDir);
  const kept = new Map<string, KeptVolume>();
  const locks: VolumeLock[] = [];
  const mounted: { name: string; path: string }[] = [];
  const expiring = new Set<string>();
  /** Names of volumes that were in a container that ran. */
  const used = new Set<string>();

  async function prepareVolume(volume: Volume): Promise<void> {
    const { name, expiration } = volume;
    const directory = directories.make(name, expiration);
    if (expiration === "pipeline_end") expiring.add(name);
    await mountOn(volume, directory);
    const lock = unlockVolume(volume, directory.dataPath);
    if (lock) locks.push(lock);
    // Before the first container gets content of its image copied into it.
    const wasEmpty = readdirSync(directory.dataPath).length === 0;
    const isEmptied = () => wasEmpty && !used.has(name);
    const mirror = createVolumeMirror(volume, { dataPath: directory.dataPath, isEmptied }, options);
    kept.set(name, { volume, directory, mirror });
  }

  async function mountOn({ name, fileSystem }: Volume, { dataPath }: VolumeDirectory): Promise<void> {
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

  function findVolume(name: string): VolumeDirectory {
    const known = kept.get(name);
    if (known) return known.directory;
    const directory = directories.make(name, "never");
    // Throws where an earlier job encrypted it.
    unlockVolume({ name, resetsFscryptKey: false }, directory.dataPath);
    return directory;
  }

  function makeAnonymous(): VolumeDirectory {
    const name = `_anonymous-${randomBytes(8).toString("hex")}`;
    expiring.add(name);
    return directories.make(name, "pipeline_end");
  }

  function findBindSource(source: string): string {
    const path = normalize(source);
    const shared = options.sharedPaths?.find((prefix) => path === prefix || path.startsWith(`${prefix}/`));
    if (shared === undefined) {
      checkBindSource(path);
      return path;
    }
    const own = join(directories.make(SHARED, "never").dataPath, path.slice(shared.length));
    mkdirSync(own, { recursive: true });
    return own;
  }

  /** The first failure is thrown at the end, the others are logged. */
  function collectFailures() {
    const failures: unknown[] = [];
    return {
      async attempt(what: string, run: () => Promise<void> | void): Promise<void> {
        try {
          await run();
        } catch (error) {
          if (failures.length > 0) log.warn(`${what}: ${(error as Error).message}`);
          failures.push(error);
        }
      },
      throwFirst(): void {
        if (failures.length > 0) throw failures[0];
      },
    };
  }

  return {
    async prepare({ signal }) {
      for (const name of await directories.removeExpired())
        log.info(`volume "${name}": removed, it had expired`);
      for (const volume of options.volumes) {
        signal.throwIfAborted();
        await prepareVolume(volume);
      }
    },

    async runHooks(on, { signal }) {
      if (on.endsWith("_end")) {
        // A push that fails does not stop those of other volumes.
        const { attempt, throwFirst } = collectFailures();
        for (const { volume, mirror } of kept.values())
          await attempt(`volume "${volume.name}"`, () => mirror?.runHook(on, { signal }));
        throwFirst();
        return;
      }
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
          const directory = mount.source === undefined ? makeAnonymous() : findVolume(mount.source);
          if (rootPath !== undefined && !mount.options.includes("nocopy"))
            copyUp({ rootPath, target: mount.target, dataPath: directory.dataPath });
          mounts.push(planBind(directory.dataPath, mount));
        }
      }
      return { mounts, tmpfs };
    },

    noteRun(mounts) {
      for (const { kind, source } of mounts) if (kind === "volume" && source !== undefined) used.add(source);
    },

    async finish({ signal }) {
      const { attempt, throwFirst } = collectFailures();
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
        // Something is still mounted there.
        if (stuck.has(name)) continue;
        await attempt(`volume "${name}"`, () => directories.remove(name));
      }
      expiring.clear();
      kept.clear();
      throwFirst();
    },
  };
}

function unmount(path: string): void {
  try {
    umount(path);
  } catch (error) {
    // A remaining process uses it; it is unmounted when that process ends.
    if (!isKernelError(error, "EBUSY")) throw error;
    umount(path, { lazy: true });
  }
}
