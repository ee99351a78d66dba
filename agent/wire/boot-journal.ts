/**
 * The journal of one boot: what the next boot on the same cache device needs to know should this one not come to its end.
 * It comes back from a disk that others may have written, so that nothing in it is believed beyond its form; VERSION counts
 * its breaking changes.
 */

import { parseVerdict } from "./exit-code.ts";
import { type JournaledDestination, parseDestination } from "./journal-destination.ts";
import { BOOT_TEXT_MAX_LENGTH, PHASES_MAX } from "./limits.ts";
import type { PhaseRecord, Verdict } from "./verdict.ts";

const JOURNAL_VERSION = 1 as const;

export interface BootJournal {
  version: typeof JOURNAL_VERSION;
  /** Eight lower-case hex digits. */
  bootId: string;
  /** Version of the agent that wrote it. */
  agent: string;
  /** By the machine's clock, which may have been wrong. */
  startedAtMs: number;
  /** When it was written, since power-on. */
  uptimeMs: number;
  /** `ended`: there was a verdict, and results that could not be uploaded. */
  state: "running" | "ended";
  phase: string;
  /** What ran in phase "run". */
  step: string | null;
  phases: PhaseRecord[];
  /** The job's line without secrets. */
  line: string;
  /** Null where the results go nowhere. */
  results: JournaledDestination | null;
  /** So many boots of the same line, one after the other, did not end before this one. */
  deathsBefore: number;
  /** A later boot has seen it. */
  isTold: boolean;
  /** How often a later boot has tried to upload the results. */
  attempts: number;
  /** Of a boot that ended. */
  verdict: Verdict | null;
}

export function formatJournal(journal: Omit<BootJournal, "version">): string {
  return JSON.stringify({ version: JOURNAL_VERSION, ...journal });
}

export function isBootId(text: string): boolean {
  return /^[0-9a-f]{8}$/.test(text);
}

/**
 * `newer` for one of a later agent, which is not ours to drop. Throws a plain Error that says what is wrong; there is no more to it
 * than to drop the journal.
 */
export function parseJournal(text: string): BootJournal | "newer" {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null) throw new Error("it is no object");
  const raw = value as Record<string, unknown>;
  if (Number.isSafeInteger(raw.version) && Number(raw.version) > JOURNAL_VERSION) return "newer";
  if (raw.version !== JOURNAL_VERSION) throw new Error(`its version is ${JSON.stringify(raw.version)}`);
  const results = raw.results === null ? null : parseDestination(raw.results);
  const verdict = raw.verdict === null ? null : parseVerdict(raw.verdict);
  if (results === undefined) throw new Error('"results" is no place');
  if (verdict === undefined) throw new Error('"verdict" is no verdict');
  if (raw.state !== "running" && raw.state !== "ended") throw new Error('"state" is none');
  if (!Array.isArray(raw.phases) || raw.phases.length > PHASES_MAX) throw new Error('"phases" is no list');
  const bootId = readText(raw, "bootId");
  if (!isBootId(bootId)) throw new Error('"bootId" is none');
  return {
    version: JOURNAL_VERSION,
    bootId,
    agent: readText(raw, "agent"),
    startedAtMs: readCount(raw, "startedAtMs"),
    uptimeMs: readCount(raw, "uptimeMs"),
    state: raw.state,
    phase: readText(raw, "phase"),
    step: raw.step === null ? null : readText(raw, "step"),
    phases: raw.phases.map(parsePhase),
    line: readText(raw, "line"),
    results,
    deathsBefore: readCount(raw, "deathsBefore"),
    isTold: raw.isTold === true,
    attempts: readCount(raw, "attempts"),
    verdict,
  };
}

function parsePhase(value: unknown): PhaseRecord {
  const raw = (value ?? {}) as Record<string, unknown>;
  const { outcome } = raw;
  if (outcome !== "done" && outcome !== "failed" && outcome !== "skipped")
    throw new Error('a phase has no "outcome"');
  return { name: readText(raw, "name"), outcome, durationMs: readCount(raw, "durationMs") };
}

/** Of printable characters: it is told on the console. */
function readText(raw: Record<string, unknown>, name: string): string {
  const text = raw[name];
  if (typeof text !== "string" || text.length > BOOT_TEXT_MAX_LENGTH || /[\x00-\x1f\x7f]/.test(text))
    throw new Error(`"${name}" is no text`);
  return text;
}

function readCount(raw: Record<string, unknown>, name: string): number {
  const count = raw[name];
  if (!Number.isSafeInteger(count) || (count as number) < 0) throw new Error(`"${name}" is no count`);
  return count as number;
}
