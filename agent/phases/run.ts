/**
 * Phase "run": the job's steps in their containers; the status of the first main step that fails is the test's.
 */
import { AgentError } from "../errors.ts";
import type { Job } from "../job/job.ts";
import type { PhaseContext } from "./phase-runner.ts";
import { describeLackOfRoom, type FullPlace } from "./run-failure.ts";
import { runSteps, type StepsAdapters, type StepsResult } from "./steps.ts";

export interface RunAdapters extends StepsAdapters {
  /** Objects of the root that turned out to be damaged when the test read them, gone from the store now: how many. */
  dropDamagedObjects(): Promise<number>;
  /** Undefined while there is room. */
  findFullPlace(): FullPlace | undefined;
}

export async function runTest(job: Job, context: PhaseContext, adapters: RunAdapters): Promise<StepsResult> {
  const result = await runSteps(job, context, adapters);
  context.log.info(`run: the test ended with exit code ${result.exitCode}`);
  // The test got errors in place of wrong bytes; what it made of them says nothing of what it tests.
  const damaged = await adapters.dropDamagedObjects();
  if (damaged > 0) {
    throw new AgentError(
      "STORE_OBJECT_CORRUPT",
      `Cannot trust the test's result: ${damaged} files of its root could not be read, the cache device has changed them`,
      {
        hint: "Run the job again: what was damaged is dropped and fetched anew. Look at the cache device if it comes back",
      },
    );
  }
  const full = adapters.findFullPlace();
  if (full)
    context.log.warn(`run: the test left no room in ${full === "root" ? "its root" : "the results folder"}`);
  if (!full || result.exitCode === 0 || result.error || result.failure) return result;
  return { ...result, failure: describeLackOfRoom(full, result.exitCode) };
}
