/**
 * The verdict: the one final answer of a boot, as a record (results/verdict.json, the last event)
 * and as the last lines on the console. Host and DUT share this file; VERSION counts its breaking changes.
 */
import { createHash } from "node:crypto";
import type { AgentError, Blame, ErrorCode } from "../errors.ts";
import { hideSecrets } from "../redaction/patterns.ts";

export const VERDICT_VERSION = 1 as const;

export interface PhaseRecord {
  name: string;
  durationMs: number;
  outcome: "done" | "failed" | "skipped";
}

export interface Verdict {
  version: typeof VERDICT_VERSION;
  /** Of the boot that it is about: 8 hexadecimal digits, others at every power-on. */
  bootId: string;
  verdict: "pass" | "fail" | "error";
  /** The test's exit code; null when no test ran to its end. */
  exitCode: number | null;
  /** Present on `error` only. */
  error?: { code: ErrorCode; blame: Blame; phase: string; message: string; hint: string };
  phases: PhaseRecord[];
}

/** What a verdict is made of; the phase runner has it all. */
export interface VerdictFacts {
  bootId: string;
  records: readonly PhaseRecord[];
  firstFailure?: { phase: string; error: AgentError } | undefined;
}

/** The answer from what was reached: an error of ours outweighs the test's result, and keeps its exit code beside it. */
export function createVerdict(
  { bootId, records, firstFailure }: VerdictFacts,
  exitCode: number | null,
): Verdict {
  const base = {
    version: VERDICT_VERSION,
    bootId,
    exitCode,
    phases: [...records],
  } satisfies Partial<Verdict>;
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

/** One line without a line end; control characters of the message are escaped so that the line stays one. */
export function formatVerdictLine(verdict: Omit<Verdict, "bootId">): string {
  if (!verdict.error) return `${PREFIX}${verdict.verdict} exit_code=${verdict.exitCode}`;
  const { code, blame, phase, message } = verdict.error;
  const oneLine = message.replace(/[\x00-\x1f\x7f]+/g, " ");
  const test = verdict.exitCode === null ? "" : ` exit_code=${verdict.exitCode}`;
  return `${PREFIX}error code=${code} blame=${blame} phase=${phase}${test}: ${oneLine}`;
}

/** A serial line loses bytes, seldom the same ones of three lines. */
const REPEATS = 3;

/**
 * The lines that go to a console: the text, numbered, with the boot's id and the text's checksum, so that one that came
 * through whole can be told from a torn one and from another boot's. The keeper of the agent makes the same (initrd/files).
 */
export function formatVerdictLines(text: string, bootId: string): string[] {
  const numbers = Array.from({ length: REPEATS }, (_, index) => index + 1);
  return numbers.map((number) => `${text} [${number}/${REPEATS} boot=${bootId} sum=${sumOf(text)}]`);
}

export interface VerdictLine {
  /** As formatVerdictLine made it. */
  text: string;
  number: number;
  bootId: string;
}

const LINE = /^(dutboot: verdict: .*) \[(\d)\/\d boot=([0-9a-f]{8}) sum=([0-9a-f]{8})\]$/;

/** Without its line end. undefined for what is no verdict's line, or is not whole. */
export function parseVerdictLine(line: string): VerdictLine | undefined {
  const [, text, number, bootId, sum] = LINE.exec(line) ?? [];
  if (text === undefined || bootId === undefined || sum !== sumOf(text)) return undefined;
  return { text, number: Number(number), bootId };
}

/** Short enough for a line, long enough against a lost byte. */
function sumOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}
