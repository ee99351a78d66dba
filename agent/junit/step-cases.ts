/**
 * The steps of a job as test cases, for tests that leave no results of their own: a step that fails is a failure with its last lines.
 * An error of the farm or of ours is one too, so that whoever looks at the tests alone sees why there are none.
 */
import type { EventBody } from "../wire/event.ts";
import type { Verdict } from "../wire/verdict.ts";
import type { TestCase } from "./test-case.ts";

export interface StepRecord {
  /** Within the job, from 1 on, as in the names of the raw logs. */
  number: number;
  kind: string;
  name: string;
  /** Absent while it runs. */
  end?: Omit<Extract<EventBody, { event: "step_end" }>, "event" | "id">;
}

export interface StepRecorder {
  observe(body: EventBody): void;
  /** Services too, in the order they started. */
  readonly steps: readonly StepRecord[];
}

export function createStepRecorder(): StepRecorder {
  const steps = new Map<string, StepRecord>();
  return {
    observe(body) {
      if (body.event === "step_start") {
        const { id, kind, name } = body;
        steps.set(id, { number: steps.size + 1, kind, name });
      } else if (body.event === "step_end") {
        const { event: _event, id, ...end } = body;
        const step = steps.get(id);
        if (step) step.end = end;
      }
    },
    get steps() {
      return [...steps.values()];
    },
  };
}

/** `log`: the last lines of its output, for a step that failed. */
export function createStepCase({ kind, name, end }: StepRecord, log?: string): TestCase {
  const base = { name, classname: `dutboot.${kind}`, details: log };
  if (!end) return { ...base, outcome: "error", message: "it did not come to an end" };
  const timed = { ...base, timeSeconds: end.durationMs / 1000 };
  if (end.error !== undefined)
    return { ...timed, outcome: "error", message: `it could not run: ${end.error}` };
  if (end.timedOut)
    return { ...timed, outcome: "error", message: `it ran out of time (exit code ${end.exitCode})` };
  if (end.oomKilled && end.exitCode !== 0)
    return { ...timed, outcome: "error", message: `memory ran out (exit code ${end.exitCode})` };
  if (end.exitCode === 0) return { ...timed, outcome: "passed" };
  return { ...timed, outcome: "failed", message: `exit code ${end.exitCode}` };
}

/** undefined where the job itself went well. */
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
