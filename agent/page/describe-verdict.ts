/**
 * A verdict as text: how the boot ended, who must act and what to do.
 */
import { ERRORS } from "../errors.ts";
import type { Verdict } from "../wire/verdict.ts";
import { formatDuration } from "./html.ts";
import type { ReportFacts } from "./report-facts.ts";

export interface VerdictText {
  state: "pass" | "fail" | "error" | "none";
  title: string;
  subtitle: string;
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

/** As in docs/errors.md. */
const WHO_ACTS: Readonly<Record<string, string>> = {
  infra: "the farm: its network, servers, disks or power",
  job: "the author of the job or of its images and archives",
  test: "the author of the test or of what it tests",
  config: "the farm's administrator: credentials, certificates, exports, kernel",
  bug: "the developers of the agent",
};

/** `verdict` is undefined when the boot left none. */
export function describeVerdict(verdict: Verdict | undefined, facts: ReportFacts): VerdictText {
  if (!verdict) return { state: "none", title: "No verdict", subtitle: describeMissingVerdict(facts) };
  const { exitCode, error } = verdict;
  if (verdict.verdict === "pass")
    return { state: "pass", title: "Pass", subtitle: "The test ended with exit code 0" };
  if (!error) return { state: "fail", title: "Fail", subtitle: `The test ended with exit code ${exitCode}` };
  const { code, blame, phase, message, hint } = error;
  const means = Object.hasOwn(ERRORS, code) ? ERRORS[code].means : "";
  const test = exitCode === null ? "" : `; the test had ended with exit code ${exitCode}`;
  return {
    state: "error",
    title: "Error",
    subtitle: `In phase "${phase}"${test}`,
    error: { code, blame, whoActs: WHO_ACTS[blame] ?? "", phase, message, means, hint },
  };
}

/** `the machine never finished; partial results up to phase run at 31.0 s`. */
function describeMissingVerdict({ phases, endMs }: ReportFacts): string {
  const last = phases.findLast(({ outcome }) => outcome !== "skipped");
  const upTo = last ? `; partial results up to phase ${last.name} at ${formatDuration(endMs)}` : "";
  return `The machine never finished${upTo}`;
}
