/**
 * The order of the phases, and the consequences of a failure: volumes and results are still saved, and the end is always reached.
 */

import { AgentError } from "../errors.ts";
import type { Job } from "../job/job.ts";
import type { Announcer } from "../report/console/b2c-announcer.ts";
import type { AgentFileFacts } from "../report/results/write-agent-files.ts";
import type { MountedRoot, RootLayer } from "../root/root-driver.ts";
import type { NetworkState } from "../sys/network/network.ts";
import { createVerdict, type Verdict } from "../wire/verdict.ts";
import { type ArchiveAdapters, fetchRootArchive, listStackedArchives, unpackArtifacts } from "./archives.ts";
import { type AssembleAdapters, type JobRoot, mountJobRoot, openStepRoot } from "./assemble.ts";
import { fetchImages, type ImageAdapters, type ReadyImages } from "./fetch.ts";
import { applyJobSettings, type MachineAdapters, readJob } from "./machine.ts";
import type { PhaseContext, PhaseRunner } from "./phase-runner.ts";
import { runSteps, type StepsAdapters, type StepsResult, type StepVolumes } from "./steps.ts";
import type { ResultsSync } from "./sync-results.ts";
import { type UploadAdapters, uploadResults } from "./upload.ts";

export interface BootAdapters extends MachineAdapters {
  announcer: Announcer;
  connect(job: Job, network: NetworkState): Promise<JobConnection>;
  /** From the start of the test on, saves results and journal at intervals. */
  startSync(job: Job, results: UploadAdapters | undefined): ResultsSync;
  /** Writes the agent's files into the results folder, before it is uploaded. Does not throw. */
  writeAgentFiles(facts: Omit<AgentFileFacts, "folder">): Promise<void>;
  /** Releases whatever was set up, whichever phase failed. */
  release(end: { root?: MountedRoot; verdict: Verdict }): Promise<void>;
}

/** A job and the servers it names. */
export interface JobConnection {
  /** Absent where the job names no destination for its results. */
  results?: UploadAdapters;
  openStore(phase: PhaseContext): Promise<JobStore>;
}

export interface JobStore {
  /** Uploads what earlier boots left on the cache device. Throws JOB_BOOT_LOOP. */
  settlePreviousBoots(phase: PhaseContext): Promise<void>;
  adapters: JobAdapters;
}

/** What the phases after "machine" work with. */
export interface JobAdapters
  extends ImageAdapters,
    ArchiveAdapters,
    AssembleAdapters,
    Omit<RunAdapters, "openStepRoot" | "announcer"> {
  volumes: JobVolumes;
}

export interface JobVolumes extends StepVolumes {
  /** Throws VOLUME_… for a volume that cannot be used. */
  prepare(options: { signal: AbortSignal }): Promise<void>;
  /** Mirrors for the last time, then deletes what has expired. */
  finish(options: { signal: AbortSignal }): Promise<void>;
}

/** What came out, and what the end of the machine depends on. */
export interface BootResult {
  verdict: Verdict;
  steps?: StepsResult;
  /** Absent where the command line is not a job. */
  job?: Job;
}

/** How far the boot came. Upload and end work with what there is. */
interface Reached {
  job?: Job;
  connection?: JobConnection;
  store?: JobStore;
  root?: JobRoot;
  sync?: ResultsSync;
  steps?: StepsResult;
}

export async function boot(runner: PhaseRunner, adapters: BootAdapters): Promise<BootResult> {
  const { announcer } = adapters;
  const reached: Reached = {};
  await settle(runner, runJob(runner, adapters, reached));
  const { job, steps, root } = reached;
  const exitCode = steps && !steps.error ? steps.exitCode : null;
  await settle(runner, saveResults(runner, adapters, reached, exitCode));
  // boot2container's status: the test's exit code, or 1 for a failure of the boot.
  announcer.ended(runner.firstFailure ? steps?.exitCode || 1 : (steps?.exitCode ?? 1));
  announcer.cleanupStarted();
  const end = { root: root?.root, verdict: createVerdict(runner, exitCode) };
  const release = ({ during }: PhaseContext) => during("the disks", () => adapters.release(end));
  await settle(runner, runner.run("end", release));
  return { verdict: createVerdict(runner, exitCode), steps, job };
}

/** Every phase up to "run". `reached` is filled in step by step, as a later step may fail. */
async function runJob(runner: PhaseRunner, boot: BootAdapters, reached: Reached): Promise<void> {
  const { announcer } = boot;
  const { job, store } = await runner.run("machine", async (phase) => {
    const { job, network, isLineOnly } = await readJob(phase, boot);
    reached.job = job;
    // Before the steps that may fail: their error must be uploaded.
    const connection = await boot.connect(job, network);
    reached.connection = connection;
    await applyJobSettings(job, isLineOnly, phase, boot);
    const store = await phase.during("the store", () => connection.openStore(phase));
    reached.store = store;
    await phase.during("the results of earlier boots", () => store.settlePreviousBoots(phase));
    return { job, store };
  });
  announcer.pipelineStarted();
  const { adapters } = store;
  const fetched = await fetchAll(runner, job, adapters);
  const root = await assemble(runner, job, fetched, adapters, announcer);
  reached.root = root;
  const artifacts = [...listStackedArchives(job.root), ...job.artifacts];
  if (artifacts.length === 0 || !root) runner.skip("artifact");
  else await runner.run("artifact", (phase) => unpackArtifacts(artifacts, root.root, phase, adapters));
  const test = async (phase: PhaseContext) => {
    reached.sync = boot.startSync(job, reached.connection?.results);
    const steps = await runTest(job, phase, {
      ...adapters,
      announcer,
      openStepRoot: (step) => openStepRoot(step, fetched.images, root, adapters),
    });
    reached.steps = steps;
    // The steps after a failed one have run by now; its error is the job's failure.
    const failure = steps.error ?? steps.failure;
    if (failure) throw failure;
  };
  await runner.run("run", test, { isInteractive: job.shell ?? false });
}

interface Fetched {
  images: ReadyImages;
  rootLayers: readonly RootLayer[];
}

async function fetchAll(runner: PhaseRunner, job: Job, adapters: JobAdapters): Promise<Fetched> {
  const { root, steps } = job;
  const base = root && "archives" in root ? root.archives[0] : undefined;
  if (!base && !(root && "image" in root) && !steps.some(({ image }) => image)) {
    runner.skip("fetch");
    return { images: new Map(), rootLayers: [] };
  }
  return runner.run("fetch", async (phase) => ({
    rootLayers: base ? [await fetchRootArchive(base, phase, adapters)] : [],
    images: await fetchImages(job, phase, adapters),
  }));
}

async function assemble(
  runner: PhaseRunner,
  { root }: Job,
  fetched: Fetched,
  adapters: JobAdapters,
  announcer: Announcer,
): Promise<JobRoot | undefined> {
  return runner.run("assemble", async (phase) => {
    const { volumes } = adapters;
    await phase.during("the volumes", () => volumes.prepare(phase));
    announcer.volumesPrepared();
    const mountRoot = async () => root && mountJobRoot(root, fetched, phase, adapters);
    const mounted = await phase.during("the root", mountRoot);
    announcer.hooksStarted("pipeline-start");
    await phase.during("the mirrors", () => volumes.runHooks("pipeline_start", phase));
    announcer.hooksEnded();
    return mounted;
  });
}

/** Saves volumes, then results; both are tried. The upload's own failure counts first. */
async function saveResults(
  runner: PhaseRunner,
  { announcer, writeAgentFiles }: BootAdapters,
  { job, connection, store, sync }: Reached,
  exitCode: number | null,
): Promise<void> {
  const results = connection?.results;
  const volumes = job?.volumes?.length ? store?.adapters.volumes : undefined;
  const writeReports = () => writeAgentFiles({ verdict: createVerdict(runner, exitCode), job });
  const stopSync = async () => sync?.stop();
  const saveVolumes = async (phase: PhaseContext) => {
    if (!volumes) return;
    announcer.hooksStarted("pipeline-end");
    await phase.during("the mirrors", () => volumes.runHooks("pipeline_end", phase));
    await phase.during("the volumes", () => volumes.finish(phase));
    announcer.hooksEnded();
  };
  if (!results && !volumes) {
    await stopSync();
    await writeReports();
    return runner.skip("upload");
  }
  await runner.run("upload", async (phase) => {
    await phase.during("the last results of the running test", stopSync);
    const [volumesSaved] = await Promise.allSettled([saveVolumes(phase)]);
    await phase.during("the reports", writeReports);
    if (results) await uploadResults(exitCode, phase, results);
    if (volumesSaved.status === "rejected") throw volumesSaved.reason;
  });
}

/** Failures of phases are recorded by the runner; any other error is thrown on. */
async function settle(runner: PhaseRunner, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!runner.firstFailure) throw error;
  }
}

interface RunAdapters extends StepsAdapters {
  /** Drops the objects of the root that the kernel found damaged when the test read them. Returns their number. */
  dropDamagedObjects(): Promise<number>;
  /** The file system that the test has filled, if any. */
  findFullFileSystem(): "root" | "results" | undefined;
}

async function runTest(job: Job, context: PhaseContext, adapters: RunAdapters): Promise<StepsResult> {
  const result = await runSteps(job, context, adapters);
  context.log.info(`run: the test ended with exit code ${result.exitCode}`);
  // The test got read errors, so its result says nothing about what it tests.
  const damaged = await adapters.dropDamagedObjects();
  if (damaged > 0) {
    throw new AgentError(
      "STORE_OBJECT_CORRUPT",
      `Cannot trust the test's result: ${damaged} files of its root could not be read, the cache device has changed them`,
      {
        hint: "Run the job again: damaged files are fetched again. Check the cache device if the error comes back",
      },
    );
  }
  const full = adapters.findFullFileSystem();
  if (!full) return result;
  const [what, code] =
    full === "root"
      ? (["its root", "ROOT_NO_SPACE"] as const)
      : (["the results folder", "RESULTS_NO_SPACE"] as const);
  context.log.warn(`run: the test left no room in ${what}`);
  if (result.exitCode === 0 || result.error || result.failure) return result;
  // The exit code alone would blame the test for a machine that is too small.
  const message = `Cannot count the test's result: ${what} has no room left, and it ended with exit code ${result.exitCode}`;
  return { ...result, failure: new AgentError(code, message) };
}
