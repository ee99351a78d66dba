/**
 * Builds what a job's phases work with, once the job is known and the network is up: the ways to fetch, the roots, the volumes
 * and the place for the results.
 */
import { createHash } from "node:crypto";
import { AgentError } from "../errors.ts";
import type { Job, RootDriverChoice } from "../job/job.ts";
import { listEnvironmentSecrets } from "../job/job-secrets.ts";
import type { FileSystem } from "../job/volume.ts";
import type { StepRecorder } from "../junit/step-cases.ts";
import { createArchiveOpener } from "../net/archives/archive-opener.ts";
import type { HttpClient } from "../net/http/http-message.ts";
import { RegistryClient } from "../net/registry/registry.ts";
import { createBucketOpener } from "../net/s3/bucket.ts";
import { parseAuthFile } from "../oci/auth-file.ts";
import { PATHS } from "../paths.ts";
import type { JobAdapters } from "../phases/boot.ts";
import type { PhaseRunner } from "../phases/phase-runner.ts";
import type { Redaction } from "../redaction/redaction.ts";
import type { EventStream } from "../report/log/event-stream.ts";
import type { Log } from "../report/log/log.ts";
import { startProgress } from "../report/log/progress.ts";
import type { OutputBus } from "../report/output-bus.ts";
import type { AgentFiles } from "../report/results/agent-files.ts";
import { chooseRootDriver } from "../root/drivers/choose-driver.ts";
import { mountDirectoryRoot } from "../root/drivers/existing-tree.ts";
import { type ImageStore, openImageStore } from "../root/drivers/image-store.ts";
import type { UnpackPool } from "../root/unpack/pool.ts";
import type { OpenStore } from "../store/open-store.ts";
import { runContainer } from "../sys/container/container.ts";
import type { Credentials } from "../sys/machine/credentials.ts";
import { isFull } from "../sys/storage/is-full.ts";
import { createVolumeKeeper } from "../volumes/volume-keeper.ts";
import { connectS3 } from "./connect-s3.ts";
import type { NfsClient } from "./nfs-client.ts";
import { openStepLog } from "./results-adapters.ts";

export type MountFileSystem = (fileSystem: FileSystem, target: string) => Promise<void>;

export interface JobTools {
  runner: PhaseRunner;
  log: Log;
  files: AgentFiles;
  bootId: string;
  output: OutputBus;
  events: EventStream;
  redaction: Redaction;
  credentials: Credentials;
  http: HttpClient;
  store: OpenStore;
  pool: UnpackPool;
  mountFileSystem: MountFileSystem;
  nfs: NfsClient;
  steps: StepRecorder;
}

export async function createJobAdapters(job: Job, tools: JobTools): Promise<JobAdapters> {
  const { log, redaction, store, http, credentials } = tools;
  const authFile = await credentials.read("registry.json");
  const auths = authFile && parseAuthFile(authFile);
  const s3 = job.s3 && (await connectS3(job.s3, tools));
  const imageStores = await openImageStores(job, tools);
  let nextPlace = 0;
  // Variables from files, names that are resolved only now, and what the image itself sets.
  const onEnvironment = (entries: readonly string[]) => {
    for (const secret of listEnvironmentSecrets(entries)) redaction.hide(secret);
  };

  return {
    openArchive: createArchiveOpener(http, s3, tools.nfs.openFile),
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
      pool: tools.pool,
      scratchDir: store.scratchDir,
      log,
      onUse: (used) => store.remember({ id: nameReference(used.name), ...used }),
    }),
    planRootPlace(name) {
      const number = nextPlace++;
      const place = `${store.scratchDir}/roots/${number}`;
      return {
        target: number === 0 ? PATHS.root : `${PATHS.stepRoots}/${number}`,
        upperDir: `${place}/upper`,
        workDir: `${place}/work`,
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
    // boot2container has no such place, and a test's own /results must not vanish below ours.
    ...((job.dialect !== "b2c" || job.results) && { resultsPath: PATHS.results }),
    openOutput({ logName, ...options }) {
      // Step logs are read among the uploaded results only.
      const stepLog = job.results && openStepLog(logName, tools);
      return tools.output.openStep({ ...options, log: stepLog });
    },
    emit(body) {
      tools.steps.observe(body);
      tools.events.emit(body);
    },
    runContainer: (step) => runContainer({ ...step, onEnvironment }, { log, bundleDir: PATHS.bundle }),
    volumes: createVolumeKeeper({
      volumesDir: `${store.path}/volumes`,
      volumes: job.volumes ?? [],
      fileSystems: job.fileSystems ?? [],
      openBucket: createBucketOpener(http, job.s3Aliases ?? [], s3 && { s3 }),
      mountFileSystem: tools.mountFileSystem,
      // Where boot2container keeps its cache, and jobs their files.
      sharedPaths: job.dialect === "b2c" ? ["/storage", "/container"] : [],
      log,
    }),
    mountOtherRoot: (root, place, { signal }) =>
      "nfs" in root
        ? tools.nfs.mountRoot(root.nfs, place, { signal })
        : Promise.resolve(mountDirectoryRoot(root.directory, place)),
    dropDamagedObjects: store.dropDamagedObjects,
    findFullPlace() {
      if (isFull(PATHS.results)) return "results";
      return isFull(store.scratchDir) ? "root" : undefined;
    },
  };
}

async function openImageStores(
  { machine: { imageStores = [] } = {}, fileSystems = [] }: Job,
  { mountFileSystem }: JobTools,
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
    // Other machines run from it at the same time.
    await mountFileSystem({ ...fileSystem, options: [...fileSystem.options, "ro"] }, path);
    opened.push(openImageStore(path));
  }
  return opened;
}

/** A digest of the composefs form can be checked by that driver alone. */
function chooseDriver({ root }: Job): RootDriverChoice {
  if (!root || !("driver" in root)) return "auto";
  return "composefsDigest" in root && root.driver === "auto" ? "composefs" : root.driver;
}

/** The same image asked for again is the same reference, whatever it is made of by then. */
function nameReference(imageName: string): string {
  return `image-${createHash("sha256").update(imageName).digest("hex").slice(0, 32)}`;
}
