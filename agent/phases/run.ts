/**
 * Phase "run": the main step in its container, its output live on the console and whole in the log file.
 * The container's exit code is the test's.
 */
import { AgentError } from "../errors.ts";
import type { Job } from "../job/job.ts";
import type { ImageConfig } from "../oci/image.ts";
import type { MountedRoot } from "../root/root-driver.ts";
import type { ContainerExit, StepContainer } from "../sys/container.ts";
import type { PhaseContext } from "./phase-runner.ts";

export interface RunAdapters {
  runContainer(step: StepContainer): Promise<ContainerExit>;
  /** Takes the test's output as it comes. */
  onOutput: (chunk: Buffer) => void;
  resultsPath: string;
  /** Objects of the root that turned out to be damaged when the test read them, gone from the store now: how many. */
  dropDamagedObjects(): Promise<number>;
}

export async function runTest(
  job: Job,
  config: ImageConfig,
  root: MountedRoot,
  { log, signal }: PhaseContext,
  adapters: RunAdapters,
): Promise<number> {
  const [step = { env: [] }] = job.steps;
  const exit = await adapters.runContainer({
    id: "dutboot-test",
    config,
    rootPath: root.path,
    resultsPath: adapters.resultsPath,
    step,
    extraEnv: [],
    mounts: [],
    tmpfs: [],
    onOutput: adapters.onOutput,
    signal,
  });
  if (exit.oomKilled) log.warn("run: the kernel killed a process of the test because memory ran out");
  log.info(`run: the test ended with exit code ${exit.exitCode}`);
  // The test got errors in place of wrong bytes; what it made of them says nothing of what it tests.
  const damaged = await adapters.dropDamagedObjects();
  if (damaged > 0) {
    throw new AgentError(
      "STORE_OBJECT_LOST",
      `Cannot trust the test's result: ${damaged} files of its root could not be read, the cache device has changed them`,
      {
        hint: "Run the job again: what was damaged is dropped and fetched anew. Look at the cache device if it comes back",
      },
    );
  }
  return exit.exitCode;
}
