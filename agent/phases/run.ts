/**
 * Phase "run": the job's steps in their containers; the status of the first main step that fails is the test's.
 */
import { AgentError } from "../errors.ts";
import type { Job } from "../job/job.ts";
import type { PhaseContext } from "./phase-runner.ts";
import { runSteps, type StepsAdapters, type StepsResult } from "./steps.ts";

export interface RunAdapters extends StepsAdapters {
  /** Drops the objects of the root that the kernel found damaged when the test read them. Returns their number. */
  dropDamagedObjects(): Promise<number>;
  /** The file system that the test has filled, if any. */
  findFullFileSystem(): "root" | "results" | undefined;
}

export async function runTest(job: Job, context: PhaseContext, adapters: RunAdapters): Promise<StepsResult> {
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
