/** Builds what the later phases need once the store is open: the ways to fetch, the roots, the volumes, the containers. */
import { createHash } from "node:crypto";
import { AgentError } from "../errors.ts";
import type { Job, RootDriverChoice } from "../job/job.ts";
import { listEnvironmentSecrets } from "../job/job-secrets.ts";
import type { FileSystem } from "../job/volume.ts";
import { RegistryClient } from "../net/registry/registry.ts";
import { createBucketOpener } from "../net/s3/bucket.ts";
import { parseAuthFile } from "../oci/auth-file.ts";
import { PATHS } from "../paths.ts";
import type { JobAdapters } from "../phases/boot.ts";
import { startProgress } from "../report/log/progress.ts";
import { chooseRootDriver } from "../root/drivers/choose-driver.ts";
import { mountDirectoryRoot } from "../root/drivers/existing-tree.ts";
import { type ImageStore, openImageStore } from "../root/drivers/image-store.ts";
import type { UnpackPool } from "../root/unpack/pool.ts";
import type { OpenStore } from "../store/open-store.ts";
import { runContainer } from "../sys/container/container.ts";
import { isFull } from "../sys/storage/file-systems.ts";
import { createVolumeManager } from "../volumes/volume-manager.ts";
import type { BootContext } from "./boot-context.ts";
import type { Connection } from "./connection.ts";
import { openStepLog } from "./results.ts";

export type MountFileSystem = (fileSystem: FileSystem, target: string) => Promise<void>;

export interface JobResources {
  connection: Connection;
  store: OpenStore;
  pool: UnpackPool;
  mount: MountFileSystem;
}

export async function createJobAdapters(
  job: Job,
  { connection: { http, s3, nfs, openArchive }, store, pool, mount }: JobResources,
  context: BootContext,
): Promise<JobAdapters> {
  const { credentials, events, log, output, redaction, steps } = context;
  const authFile = await credentials.read("registry.json");
  const auths = authFile && parseAuthFile(authFile);
  const imageStores = await openImageStores(job, mount);
  let roots = 0;
  // Includes variables from files, from the pipeline and from the image itself.
  const onEnvironment = (entries: readonly string[]) => {
    for (const secret of listEnvironmentSecrets(entries)) redaction.hide(secret);
  };

  return {
    openArchive,
    registry: new RegistryClient(http, {
      log,
      mirrors: job.mirrors,
      auth(registry, repository) {
        const found = auths?.findCredential(registry, repository);
        if (found) for (const secret of [found.password, found.identityToken]) redaction.hide(secret ?? "");
        return found;
      },
    }),
    rootDriver: chooseRootDriver(chooseDriver(job), {
      store: store.objects,
      pool,
      scratchDir: store.scratchDir,
      log,
      onUse: (used) => store.remember({ id: nameReference(used.name), ...used }),
    }),
    planRoot(name) {
      const number = roots++;
      const folder = `${store.scratchDir}/roots/${number}`;
      return {
        target: number === 0 ? PATHS.root : `${PATHS.stepRoots}/${number}`,
        upperDir: `${folder}/upper`,
        workDir: `${folder}/work`,
        name,
      };
    },
    findStoredImage(image) {
      for (const imageStore of imageStores) {
        const found = imageStore.find(image);
        if (found) return found;
      }
      return undefined;
    },
    platform: { os: "linux", architecture: process.arch === "x64" ? "amd64" : process.arch },
    startProgress,
    readFreeBytes: store.readFreeBytes,
    // boot2container has no such folder, and a test's own /results must not be hidden by ours.
    resultsPath: job.dialect !== "b2c" || job.results ? PATHS.results : undefined,
    openOutput({ logName, ...options }) {
      // Without a destination for the results, nothing would read the logs of steps.
      const stepLog = job.results && openStepLog(logName, context);
      return output.openStep({ ...options, log: stepLog });
    },
    emit(body) {
      steps.observe(body);
      events.emit(body);
    },
    runContainer: (step) => runContainer({ ...step, onEnvironment }, { log, bundleDir: PATHS.bundle }),
    volumes: createVolumeManager({
      volumesDir: `${store.path}/volumes`,
      volumes: job.volumes ?? [],
      fileSystems: job.fileSystems ?? [],
      openBucket: createBucketOpener(http, job.s3Aliases ?? [], s3 && { s3 }),
      mountFileSystem: mount,
      // Where boot2container keeps its cache, and jobs their files.
      sharedPaths: job.dialect === "b2c" ? ["/storage", "/container"] : [],
      log,
    }),
    mountOtherRoot: async (root, rootOptions, { signal }) =>
      "nfs" in root
        ? nfs.mountRoot(root.nfs, rootOptions, { signal })
        : mountDirectoryRoot(root.directory, rootOptions),
    dropDamagedObjects: store.dropDamagedObjects,
    findFullFileSystem() {
      if (isFull(PATHS.results)) return "results";
      return isFull(store.scratchDir) ? "root" : undefined;
    },
  };
}

async function openImageStores(
  { machine: { imageStores = [] } = {}, fileSystems = [] }: Job,
  mount: MountFileSystem,
): Promise<ImageStore[]> {
  const opened: ImageStore[] = [];
  for (const name of imageStores) {
    const fileSystem = fileSystems.find((each) => each.name === name);
    if (!fileSystem)
      throw new AgentError(
        "IMAGE_STORE_INVALID",
        `Cannot use the image store "${name}": no file system has that name`,
      );
    const path = `${PATHS.imageStores}/${name}`;
    // Read-only: other machines run from it at the same time.
    await mount({ ...fileSystem, options: [...fileSystem.options, "ro"] }, path);
    opened.push(openImageStore(path));
  }
  return opened;
}

/** Only the composefs driver can check a composefs digest. */
function chooseDriver({ root }: Job): RootDriverChoice {
  if (!root || !("driver" in root)) return "auto";
  const hasDigest = "image" in root && root.composefsDigest !== undefined;
  return hasDigest && root.driver === "auto" ? "composefs" : root.driver;
}

/** The same image name is the same reference, whatever its content by then. */
function nameReference(imageName: string): string {
  return `image-${createHash("sha256").update(imageName).digest("hex").slice(0, 32)}`;
}
