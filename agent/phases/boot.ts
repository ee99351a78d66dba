/**
 * The order of the phases, and what follows from a failure: volumes and results are saved all the same, and the end is always reached.
 */
import type { AgentError } from "../errors.ts";
import type { Job } from "../job/job.ts";
import type { Announcer } from "../report/console/b2c-announcer.ts";
import type { AgentFileFacts } from "../report/results/write-agent-files.ts";
import type { MountedRoot, RootLayer } from "../root/root-driver.ts";
import { createVerdict, type Verdict } from "../wire/verdict.ts";
import { type ArtifactAdapters, unpackArtifacts } from "./artifact.ts";
import { type AssembleAdapters, type JobRoot, mountJobRoot, openStepRoot } from "./assemble.ts";
import { fetchImages, type ImageAdapters, type ReadyImages } from "./fetch.ts";
import { fetchRootArchive, listStackedArchives } from "./fetch-root-archive.ts";
import { type MachineAdapters, prepareMachine } from "./machine.ts";
import type { PhaseContext, PhaseRunner } from "./phase-runner.ts";
import { type RunAdapters, runTest } from "./run.ts";
import type { StepsResult, StepVolumes } from "./steps.ts";
import type { ResultsSync } from "./sync-results.ts";
import { type UploadAdapters, uploadResults } from "./upload.ts";

export interface JobVolumes extends StepVolumes {
  /** Throws VOLUME_… for one that cannot be used. */
  prepare(options: { signal: AbortSignal }): Promise<void>;
  /** The last complete mirroring, then what expires goes. */
  finish(options: { signal: AbortSignal }): Promise<void>;
}

/** What can only be built once the job is known and the network is up. */
export interface JobAdapters
  extends ImageAdapters,
    ArtifactAdapters,
    AssembleAdapters,
    Omit<RunAdapters, "openStepRoot" | "announcer"> {
  volumes: JobVolumes;
}

export interface BootAdapters extends MachineAdapters {
  announcer: Announcer;
  /** Before anything else of the job: why the rest of it failed shall get out. Present when the job says where its results go. */
  connectResults(job: Job): Promise<UploadAdapters | undefined>;
  connect(job: Job, context: PhaseContext): Promise<JobAdapters>;
  /** What they left on the cache device goes out before anything of this job is fetched. Throws JOB_BOOT_LOOP. */
  settlePreviousBoots(context: PhaseContext): Promise<void>;
  /** From the start of the test on, what must not wait for its end is saved at intervals. */
  startSync(job: Job, results: UploadAdapters | undefined): ResultsSync;
  /** Into the results folder, before it is uploaded. Does not throw. */
  writeAgentFiles(facts: Omit<AgentFileFacts, "folder">): Promise<void>;
  /** Unmounts, syncs and releases; must not throw away what a reader of the disks may want. */
  release(root: MountedRoot | undefined): Promise<void>;
}

/** What came out, and what the end of the machine depends on. */
export interface BootResult {
  verdict: Verdict;
  steps?: StepsResult;
  /** Absent where the line is no job. */
  job?: Job;
}

export async function boot(runner: PhaseRunner, machine: BootAdapters): Promise<BootResult> {
  const { announcer } = machine;
  let job: Job | undefined;
  let results: UploadAdapters | undefined;
  let adapters: JobAdapters | undefined;
  let jobRoot: JobRoot | undefined;
  let result: StepsResult | undefined;
  let sync: ResultsSync | undefined;

  const runJob = async () => {
    const ready = await runner.run("machine", async (context) => {
      const readJob = await prepareMachine(context, machine, async (known) => {
        job = known;
        results = await machine.connectResults(known);
      });
      const connect = () => machine.connect(readJob, context);
      adapters = await context.during("the store", connect);
      await context.during("the results of earlier boots", () => machine.settlePreviousBoots(context));
      return { job: readJob, adapters };
    });
    announcer.pipelineStarted();
    const tools = ready.adapters;
    const artifacts = [...listStackedArchives(ready.job.root), ...ready.job.artifacts];
    const fetched = await fetchAll(runner, ready.job, tools);
    jobRoot = await assemble(runner, ready.job, fetched, tools, announcer);
    const mounted = jobRoot?.root;
    if (artifacts.length === 0 || !mounted) runner.skip("artifact");
    else await runner.run("artifact", (context) => unpackArtifacts(artifacts, mounted, context, tools));
    const test = async (context: PhaseContext) => {
      sync = machine.startSync(ready.job, results);
      const openRoot = (step: Parameters<typeof openStepRoot>[0]) =>
        openStepRoot(step, fetched.images, jobRoot, tools);
      result = await runTest(ready.job, context, { ...tools, announcer, openStepRoot: openRoot });
      // Steps after the one that could not run have had their turn; what was wrong with it is the job's failure.
      const failure = result.error ?? result.failure;
      if (failure) throw failure;
    };
    await runner.run("run", test, { isInteractive: ready.job.shell ?? false });
  };

  await settle(runner, runJob());
  const exitCode = result && !result.error ? result.exitCode : null;
  const writeAgentFiles = () =>
    machine.writeAgentFiles({
      verdict: createVerdict(runner, exitCode),
      job,
    });
  const stopSync = async () => sync?.stop();
  const volumes = (job?.volumes ?? []).length > 0 ? adapters?.volumes : undefined;
  if (!results && !volumes) {
    await stopSync();
    await writeAgentFiles();
    runner.skip("upload");
  } else {
    const saver: Saver = {
      volumes,
      results,
      writeAgentFiles,
      stopSync,
    };
    const upload = (context: PhaseContext) => save(saver, exitCode, context, announcer);
    await settle(runner, runner.run("upload", upload));
  }
  // boot2container's number: the test's code, or 1 for a failure of ours.
  const status = runner.firstFailure ? result?.exitCode || 1 : (result?.exitCode ?? 1);
  announcer.ended(status);
  announcer.cleanupStarted();
  const release = ({ during }: PhaseContext) => during("the disks", () => machine.release(jobRoot?.root));
  await settle(runner, runner.run("end", release));
  return {
    verdict: createVerdict(runner, exitCode),
    steps: result,
    job,
  };
}

interface Fetched {
  images: ReadyImages;
  rootLayers: readonly RootLayer[];
}

async function fetchAll(runner: PhaseRunner, job: Job, tools: JobAdapters): Promise<Fetched> {
  const { root, steps } = job;
  const base = root && "archives" in root ? root.archives[0] : undefined;
  if (!base && !(root && "image" in root) && !steps.some(({ image }) => image)) {
    runner.skip("fetch");
    return { images: new Map<string, AgentError>(), rootLayers: [] };
  }
  return runner.run("fetch", async (context) => ({
    rootLayers: base ? [await fetchRootArchive(base, context, tools)] : [],
    images: await fetchImages(job, context, tools),
  }));
}

async function assemble(
  runner: PhaseRunner,
  { root }: Job,
  fetched: Fetched,
  tools: JobAdapters,
  announcer: Announcer,
): Promise<JobRoot | undefined> {
  return runner.run("assemble", async (context) => {
    await context.during("the volumes", () => tools.volumes.prepare(context));
    announcer.volumesPrepared();
    const mountRoot = async () => root && mountJobRoot(root, fetched, context, tools);
    const mounted = await context.during("the root", mountRoot);
    announcer.hooksStarted("pipeline-start");
    await context.during("the mirrors", () => tools.volumes.runHooks("pipeline_start", context));
    announcer.hooksEnded();
    return mounted;
  });
}

interface Saver {
  stopSync(): Promise<void>;
  writeAgentFiles(): Promise<void>;
  volumes?: JobVolumes;
  results?: UploadAdapters;
}

/** Both are tried; the first failure counts. */
async function save(
  { volumes, results, writeAgentFiles, stopSync }: Saver,
  exitCode: number | null,
  context: PhaseContext,
  announcer: Announcer,
): Promise<void> {
  await context.during("the last results of the running test", stopSync);
  const saveVolumes = async () => {
    if (!volumes) return;
    announcer.hooksStarted("pipeline-end");
    await context.during("the mirrors", () => volumes.runHooks("pipeline_end", context));
    await context.during("the volumes", () => volumes.finish(context));
    announcer.hooksEnded();
  };
  const [ofVolumes] = await Promise.allSettled([saveVolumes()]);
  await context.during("the reports", writeAgentFiles);
  if (results) await uploadResults(exitCode, context, results);
  if (ofVolumes?.status === "rejected") throw ofVolumes.reason;
}

/** The runner has recorded a phase's failure; anything it has not seen is no failure of a phase and goes up. */
async function settle(runner: PhaseRunner, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!runner.firstFailure) throw error;
  }
}
