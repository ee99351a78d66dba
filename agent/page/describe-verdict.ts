/**
 * A verdict in words for people: how it ended, who must act and what to do. No verdict at all is an answer too.
 */
import { ERRORS } from "../errors.ts";
import type { Verdict } from "../wire/verdict.ts";
import { formatDuration } from "./format.ts";
import type { ReportFacts } from "./report-facts.ts";

export interface VerdictText {
  state: "pass" | "fail" | "error" | "none";
  word: string;
  says: string;
  error?: {
    code: string;
    blame: string;
    whoActs: string;
    phase: string;
    message: string;
    means: string;
    hint: string;
  };
}

/** As docs/errors.md has them. */
const WHO_ACTS: Readonly<Record<string, string>> = {
  infra: "the farm: its network, servers, disks or power",
  job: "whoever wrote the job, or made what it names",
  test: "whoever wrote the test, or what it tests",
  config: "the farm's owner: credentials, certificates, exports, kernel",
  bug: "the makers of the agent",
};

/** `verdict` is absent where the boot left none. */
export function describeVerdict(verdict: Verdict | undefined, facts: ReportFacts): VerdictText {
  if (!verdict) return { state: "none", word: "No verdict", says: describeMissingVerdict(facts) };
  const { exitCode, error } = verdict;
  if (verdict.verdict === "pass")
    return { state: "pass", word: "Pass", says: "The test ended with exit code 0" };
  if (!error) return { state: "fail", word: "Fail", says: `The test ended with exit code ${exitCode}` };
  const { code, blame, phase, message, hint } = error;
  const means = Object.hasOwn(ERRORS, code) ? ERRORS[code].means : "";
  const test = exitCode === null ? "" : `; the test had ended with exit code ${exitCode}`;
  return {
    state: "error",
    word: "Error",
    says: `In phase "${phase}"${test}`,
    error: { code, blame, whoActs: WHO_ACTS[blame] ?? "", phase, message, means, hint },
  };
}

/** `the machine never finished; partial results up to phase run at 31.0 s`. */
function describeMissingVerdict({ phases, endMs }: ReportFacts): string {
  const last = phases.findLast(({ outcome }) => outcome !== "skipped");
  const upTo = last ? `; partial results up to phase ${last.name} at ${formatDuration(endMs)}` : "";
  return `The machine never finished${upTo}`;
}
