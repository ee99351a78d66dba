/**
 * From a verdict to the exit code of a host command: 0, the test's own code, or one of ours per blame.
 * The host reads a verdict it did not write, so what contradicts itself is no verdict at all.
 */
import { BLAMES, EXIT_CODE_BY_BLAME } from "../errors.ts";
import { VERDICT_VERSION, type Verdict } from "./verdict.ts";

/** Codes above this one are ours; a test that ends with a higher one is reported with this. */
const TEST_EXIT_CODE_MAX = 200;

/** What the host says when the guest gave no verdict: the farm's machinery failed, a retry may help. */
export const EXIT_CODE_NO_VERDICT = EXIT_CODE_BY_BLAME.infra;

/** The verdict in a decoded JSON value, or undefined when it is incomplete or contradicts itself. */
export function parseVerdict(value: unknown): Verdict | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const verdict = value as Partial<Verdict>;
  if (verdict.version !== VERDICT_VERSION || !Array.isArray(verdict.phases)) return undefined;
  if (!isBootId(verdict.bootId)) return undefined;
  const { exitCode, error } = verdict;
  const isCode = typeof exitCode === "number" && Number.isInteger(exitCode) && exitCode >= 0;
  if (verdict.verdict === "pass") return exitCode === 0 && !error ? (verdict as Verdict) : undefined;
  if (verdict.verdict === "fail") return isCode && exitCode > 0 && !error ? (verdict as Verdict) : undefined;
  if (verdict.verdict !== "error" || typeof error !== "object" || error === null) return undefined;
  return BLAMES.includes(error.blame) && typeof error.code === "string" ? (verdict as Verdict) : undefined;
}

/** 0 for pass; the test's own code (1 to 200) for fail; 201 and up, one per blame, for error. */
export function exitCodeOfVerdict(verdict: Verdict): number {
  if (verdict.error) return EXIT_CODE_BY_BLAME[verdict.error.blame];
  return Math.min(verdict.exitCode ?? 1, TEST_EXIT_CODE_MAX);
}

function isBootId(value: unknown): boolean {
  return typeof value === "string" && /^[0-9a-f]{8}$/.test(value);
}
