/**
 * The verdict: the one final answer of a boot, as a record (results/verdict.json, the last event)
 * and as the last line on the console. Host and DUT share this file; VERSION counts its breaking changes.
 */
import type { AgentError, Blame, ErrorCode } from "../errors.ts";

export const VERDICT_VERSION = 1 as const;

export interface PhaseRecord {
  name: string;
  durationMs: number;
  outcome: "done" | "failed" | "skipped";
}

export interface Verdict {
  version: typeof VERDICT_VERSION;
  verdict: "pass" | "fail" | "error";
  /** The test's exit code; null when no test ran to its end. */
  exitCode: number | null;
  /** Present on `error` only. */
  error?: { code: ErrorCode; blame: Blame; phase: string; message: string; hint: string };
  phases: PhaseRecord[];
}

/** The answer from what was reached: an error of ours outweighs the test's result, and keeps its exit code beside it. */
export function createVerdict(
  phases: readonly PhaseRecord[],
  exitCode: number | null,
  failure?: { phase: string; error: AgentError },
): Verdict {
  const base = { version: VERDICT_VERSION, exitCode, phases: [...phases] } satisfies Partial<Verdict>;
  if (failure) {
    const { code, blame, message, hint } = failure.error;
    return { ...base, verdict: "error", error: { code, blame, phase: failure.phase, message, hint } };
  }
  return { ...base, verdict: exitCode === 0 ? "pass" : "fail" };
}

const PREFIX = "dutboot: verdict: ";

/** One line without a line end; control characters of the message are escaped so that the line stays one. */
export function formatVerdictLine(verdict: Verdict): string {
  if (!verdict.error) return `${PREFIX}${verdict.verdict} exit_code=${verdict.exitCode}`;
  const { code, blame, phase, message } = verdict.error;
  const oneLine = message.replace(/[\x00-\x1f\x7f]+/g, " ");
  const test = verdict.exitCode === null ? "" : ` exit_code=${verdict.exitCode}`;
  return `${PREFIX}error code=${code} blame=${blame} phase=${phase}${test}: ${oneLine}`;
}
