/**
 * The steps of a job as test cases, for tests that leave no results: a failed step with its last lines. An error of the farm or the agent is
 * a test case as well, so that the test report shows why tests are missing.
 */
import type { EventBody } from "../wire/event.ts";
import type { Verdict } from "../wire/verdict.ts";
import type { TestCase } from "./test-case.ts";

export interface StepRecord {
  /** From 1 on, as in the names of the step logs. */
  number: number;
  kind: string;
  name: string;
  /** undefined while it runs. */
  end?: Omit<Extract<EventBody, { event: "step_end" }>, "event" | "id">;
}

export type StepRecorder = ReturnType<typeof createStepRecorder>;

export function createStepRecorder() {
  const steps = new Map<string, StepRecord>();
  return {
    observe(body: EventBody) {
      if (body.event === "step_start") {
        const { id, kind, name } = body;
        steps.set(id, { number: steps.size + 1, kind, name });
      } else if (body.event === "step_end") {
        const { event: _event, id, ...end } = body;
        const step = steps.get(id);
        if (step) step.end = end;
      }
    },
    /** All steps, with services, in the order of their start. */
    get steps(): readonly StepRecord[] {
      return [...steps.values()];
    },
  };
}

/** `log`: the last lines of the output of a failed step. */
export function createStepCase({ kind, name, end }: StepRecord, log?: string): TestCase {
  const base = { name, classname: `dutboot.${kind}`, details: log };
  if (!end) return { ...base, outcome: "error", message: "it did not end" };
  const timed = { ...base, timeSeconds: end.durationMs / 1000 };
  if (end.error !== undefined) return { ...timed, outcome: "error", message: `could not run: ${end.error}` };
  if (end.timedOut) return { ...timed, outcome: "error", message: `timed out (exit code ${end.exitCode})` };
  if (end.oomKilled && end.exitCode !== 0)
    return { ...timed, outcome: "error", message: `out of memory (exit code ${end.exitCode})` };
  if (end.exitCode === 0) return { ...timed, outcome: "passed" };
  return { ...timed, outcome: "failed", message: `exit code ${end.exitCode}` };
}

/** undefined when the job has no error. */
export function createErrorCase({ error }: Verdict): TestCase | undefined {
  if (!error) return undefined;
  const { code, blame, phase, message, hint } = error;
  return {
    name: phase,
    classname: "dutboot.phase",
    outcome: "error",
    message: `${code}: ${message}`,
    details: `blame: ${blame}\n${hint}`,
  };
}
