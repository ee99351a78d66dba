/** The expected end of a boot that causes an error code. */
import { expect } from "vitest";
import { ERRORS, type ErrorCode, EXIT_CODE_BY_BLAME } from "../../agent/errors.ts";
import { describeRun, type GuestRun } from "../boot/agent/farm-guest.ts";

/** Checks the code in verdict.json, in the verdict's console line and in the harness's exit code. */
export function expectVerdict(run: GuestRun, code: ErrorCode, phase: string): void {
  const { blame } = ERRORS[code];
  expect(run.verdict, describeRun(run)).toMatchObject({ verdict: "error", error: { code, blame, phase } });
  expect(run).toMatchObject({ outcome: "ended", exitCode: EXIT_CODE_BY_BLAME[blame] });
  expect(run.verdictLines.join("\n")).toContain(`code=${code} blame=${blame} phase=${phase}`);
  console.log(`${code}: ${run.verdictLines[0]}`);
}
