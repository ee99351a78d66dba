/**
 * The verdict: the final result of a boot, as a record (results/verdict.json, the last event), as the last lines on the console, and as the
 * exit code of host commands. VERSION counts breaking changes.
 */
import { createHash } from "node:crypto";
import { type AgentError, BLAMES, type Blame, type ErrorCode, EXIT_CODE_BY_BLAME } from "../errors.ts";
import { hideSecrets } from "../redaction/patterns.ts";

const VERDICT_VERSION = 1 as const;

export interface PhaseRecord {
  name: string;
  durationMs: number;
  outcome: "done" | "failed" | "skipped";
}

export interface Verdict {
  version: typeof VERDICT_VERSION;
  /** 8 hexadecimal digits, random for each boot. */
  bootId: string;
  verdict: "pass" | "fail" | "error";
  /** The test's exit code; null when the test did not finish. */
  exitCode: number | null;
  /** Present on `error` only. */
  error?: { code: ErrorCode; blame: Blame; phase: string; message: string; hint: string };
  phases: PhaseRecord[];
}

/** The phase runner has all of them. */
export interface VerdictFacts {
  bootId: string;
  records: readonly PhaseRecord[];
  firstFailure?: { phase: string; error: AgentError } | undefined;
}

/** An error of a phase takes precedence over the test's result; the exit code is kept. */
export function createVerdict(
  { bootId, records, firstFailure }: VerdictFacts,
  exitCode: number | null,
): Verdict {
  const base = { version: VERDICT_VERSION, bootId, exitCode, phases: [...records] };
  if (firstFailure) {
    const { code, blame, message, hint } = firstFailure.error;
    return {
      ...base,
      verdict: "error",
      error: { code, blame, phase: firstFailure.phase, message: hideSecrets(message), hint },
    };
  }
  return { ...base, verdict: exitCode === 0 ? "pass" : "fail" };
}

const PREFIX = "dutboot: verdict: ";

/** Without a line end; control characters in the message become blanks. */
export function formatVerdictLine(verdict: Omit<Verdict, "bootId">): string {
  if (!verdict.error) return `${PREFIX}${verdict.verdict} exit_code=${verdict.exitCode}`;
  const { code, blame, phase, message } = verdict.error;
  const oneLine = message.replace(/[\x00-\x1f\x7f]+/g, " ");
  const test = verdict.exitCode === null ? "" : ` exit_code=${verdict.exitCode}`;
  return `${PREFIX}error code=${code} blame=${blame} phase=${phase}${test}: ${oneLine}`;
}

/** A serial line loses bytes, but rarely in all three lines. */
const REPEATS = 3;

/**
 * The console's lines: numbered, with the boot's id and a checksum of the text, so that a reader recognizes a torn line and one of another
 * boot. The supervisor of the agent prints the same form (initrd/files).
 */
export function formatVerdictLines(text: string, bootId: string): string[] {
  const numbers = Array.from({ length: REPEATS }, (_, index) => index + 1);
  return numbers.map((number) => `${text} [${number}/${REPEATS} boot=${bootId} sum=${sumOf(text)}]`);
}

export interface VerdictLine {
  /** From formatVerdictLine. */
  text: string;
  number: number;
  bootId: string;
}

const LINE = /^(dutboot: verdict: .*) \[(\d)\/\d boot=([0-9a-f]{8}) sum=([0-9a-f]{8})\]$/;

/** undefined for other lines and for torn ones. `line` is without its line end. */
export function parseVerdictLine(line: string): VerdictLine | undefined {
  const [, text, number, bootId, sum] = LINE.exec(line) ?? [];
  if (text === undefined || bootId === undefined || sum !== sumOf(text)) return undefined;
  return { text, number: Number(number), bootId };
}

function sumOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}

/** The verdict in a decoded JSON value; undefined when it is incomplete or contradicts itself. */
export function parseVerdict(value: unknown): Verdict | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const verdict = value as Partial<Verdict>;
  const { bootId, exitCode, error } = verdict;
  if (verdict.version !== VERDICT_VERSION || !Array.isArray(verdict.phases)) return undefined;
  if (typeof bootId !== "string" || !/^[0-9a-f]{8}$/.test(bootId)) return undefined;
  const isCode = typeof exitCode === "number" && Number.isInteger(exitCode) && exitCode >= 0;
  if (verdict.verdict === "pass") return exitCode === 0 && !error ? (verdict as Verdict) : undefined;
  if (verdict.verdict === "fail") return isCode && exitCode > 0 && !error ? (verdict as Verdict) : undefined;
  if (verdict.verdict !== "error" || typeof error !== "object" || error === null) return undefined;
  return BLAMES.includes(error.blame) && typeof error.code === "string" ? (verdict as Verdict) : undefined;
}

/** Higher exit codes mean an error of a phase; a test that ends with a higher one is reported with this. */
const TEST_EXIT_CODE_MAX = 200;

/** Of a host command whose guest gave no verdict: the farm failed, and a retry may help. */
export const EXIT_CODE_NO_VERDICT = EXIT_CODE_BY_BLAME.infra;

/** 0 for pass; the test's own code (1 to 200) for fail; 201 and up, one for each blame, for error. */
export function exitCodeOfVerdict(verdict: Verdict): number {
  if (verdict.error) return EXIT_CODE_BY_BLAME[verdict.error.blame];
  return Math.min(verdict.exitCode ?? 1, TEST_EXIT_CODE_MAX);
}
