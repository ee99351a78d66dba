/**
 * The order of the phases, and what follows from a failure: the results are uploaded all the same, and the end is always reached.
 */
import type { Job } from "../job/job.ts";
import { UPLOAD_LIMIT_MS } from "../limits.ts";
import type { MountedRoot, RootOptions } from "../root/root-driver.ts";
import { createVerdict, type Verdict } from "../wire/verdict.ts";
import { type ArtifactAdapters, unpackArtifacts } from "./artifact.ts";
import { type FetchAdapters, fetchImage } from "./fetch.ts";
import { type MachineAdapters, prepareMachine } from "./machine.ts";
import type { PhaseContext, PhaseRunner } from "./phase-runner.ts";
import { type RunAdapters, runTest } from "./run.ts";
import { type UploadAdapters, uploadResults } from "./upload.ts";

/** What can only be built once the job is known and the network is up. */
export interface JobAdapters
  extends FetchAdapters,
    ArtifactAdapters,
    RunAdapters,
    Omit<UploadAdapters, "s3"> {
  /** Present when the job names an S3 endpoint. */
  s3?: UploadAdapters["s3"];
  rootOptions: RootOptions;
}

export interface BootAdapters extends MachineAdapters {
  connect(job: Job, context: PhaseContext): Promise<JobAdapters>;
  /** Unmounts, syncs and releases; must not throw away what a reader of the disks may want. */
  release(root: MountedRoot | undefined): Promise<void>;
}

export async function boot(runner: PhaseRunner, machine: BootAdapters): Promise<Verdict> {
  let job: Job | undefined;
  let adapters: JobAdapters | undefined;
  let root: MountedRoot | undefined;
  let exitCode: number | null = null;

  const runJob = async () => {
    const ready = await runner.run("machine", async (context) => {
      const readJob = await prepareMachine(context, machine);
      return { job: readJob, adapters: await machine.connect(readJob, context) };
    });
    ({ job, adapters } = ready);
    const tools = ready.adapters;
    const { image, layers } = await runner.run("fetch", (context) =>
      fetchImage(ready.job.root.image, context, tools),
    );
    const mounted = await runner.run("assemble", () => tools.rootDriver.mount(layers, tools.rootOptions));
    root = mounted;
    if (ready.job.artifacts.length === 0) runner.skip("artifact");
    else {
      await runner.run("artifact", (context) =>
        unpackArtifacts(ready.job.artifacts, mounted, context, tools),
      );
    }
    exitCode = await runner.run("run", (context) =>
      runTest(ready.job, image.config, mounted, context, tools),
    );
  };

  await settle(runner, runJob());
  const to = job?.results && "s3" in job.results.to ? job.results.to.s3 : undefined;
  const uploader = adapters?.s3 && { ...adapters, s3: adapters.s3 };
  if (!to || !uploader) runner.skip("upload");
  else {
    const upload = runner.run("upload", (context) => uploadResults(to, exitCode, context, uploader), {
      ownLimitMs: UPLOAD_LIMIT_MS,
    });
    await settle(runner, upload);
  }
  await settle(
    runner,
    runner.run("end", () => machine.release(root), { ownLimitMs: UPLOAD_LIMIT_MS }),
  );
  return createVerdict(runner.records, exitCode, runner.firstFailure);
}

/** The runner has recorded a phase's failure; anything it has not seen is no failure of a phase and goes up. */
async function settle(runner: PhaseRunner, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!runner.firstFailure) throw error;
  }
}
