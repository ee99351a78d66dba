/**
 * The journal of one boot, which the next boot on the same cache device reads if this one does not end. Others may have written to the
 * disk meanwhile, so every field is validated and no URL is trusted. VERSION counts breaking changes.
 */
import type { Job, ResultsDestination } from "../job/job.ts";
import { hideSecrets } from "../redaction/patterns.ts";
import { KiB } from "../units.ts";
import { type PhaseRecord, parseVerdict, type Verdict } from "./verdict.ts";

const JOURNAL_VERSION = 1 as const;
export const BOOT_TEXT_MAX_LENGTH = 16 * KiB;
const PHASES_MAX = 32;
const DESTINATION_MAX_LENGTH = 2048;
const CONTROL = /[\x00-\x1f\x7f]/;

export interface BootJournal {
  version: typeof JOURNAL_VERSION;
  /** Eight lower-case hex digits. */
  bootId: string;
  /** Version of the agent. */
  agent: string;
  /** By the machine's clock, which may have been wrong. */
  startedAtMs: number;
  /** Time since power-on when the journal was written. */
  uptimeMs: number;
  /** `ended`: with a verdict, but results that could not be uploaded. */
  state: "running" | "ended";
  phase: string;
  /** What ran in phase "run". */
  step: string | null;
  phases: PhaseRecord[];
  /** The job's command line without secrets. */
  line: string;
  /** Null when the job uploads no results. */
  results: JournaledDestination | null;
  /** How many boots of the same line in a row did not end before this one. */
  deathsBefore: number;
  /** A later boot has reported it. */
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

/** `newer`: written by a later agent, which may still need it. Throws a plain Error for an invalid journal, which can be deleted. */
export function parseJournal(text: string): BootJournal | "newer" {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null) throw new Error("not an object");
  const raw = value as Record<string, unknown>;
  if (Number.isSafeInteger(raw.version) && Number(raw.version) > JOURNAL_VERSION) return "newer";
  if (raw.version !== JOURNAL_VERSION) throw new Error(`unknown version ${JSON.stringify(raw.version)}`);
  const results = raw.results === null ? null : parseDestination(raw.results);
  const verdict = raw.verdict === null ? null : parseVerdict(raw.verdict);
  if (results === undefined) throw invalid("results");
  if (verdict === undefined) throw invalid("verdict");
  if (raw.state !== "running" && raw.state !== "ended") throw invalid("state");
  if (!Array.isArray(raw.phases) || raw.phases.length > PHASES_MAX) throw invalid("phases");
  const bootId = readText(raw, "bootId");
  if (!isBootId(bootId)) throw invalid("bootId");
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

const invalid = (name: string) => new Error(`invalid "${name}"`);

function parsePhase(value: unknown): PhaseRecord {
  const raw = (value ?? {}) as Record<string, unknown>;
  const { outcome } = raw;
  if (outcome !== "done" && outcome !== "failed" && outcome !== "skipped") throw invalid("phases");
  return { name: readText(raw, "name"), outcome, durationMs: readCount(raw, "durationMs") };
}

/** Printable, as it is shown on the console. */
function readText(raw: Record<string, unknown>, name: string): string {
  const text = raw[name];
  if (typeof text !== "string" || text.length > BOOT_TEXT_MAX_LENGTH || CONTROL.test(text))
    throw invalid(name);
  return text;
}

function readCount(raw: Record<string, unknown>, name: string): number {
  const count = raw[name];
  if (!Number.isSafeInteger(count) || (count as number) < 0) throw invalid(name);
  return count as number;
}

/** Where a boot's results go, without credentials. */
export type JournaledDestination =
  | { kind: "s3"; url: string; bucket: string; prefix: string }
  | { kind: "put"; url: string }
  | { kind: "nfs"; server: string; path: string };

/** Null when the job has no results, or when their destination contains a secret. */
export function describeDestination({
  results,
  s3,
}: Pick<Job, "results" | "s3">): JournaledDestination | null {
  if (!results) return null;
  const destination = findDestination(results.to, s3?.url);
  if (!destination) return null;
  const text = JSON.stringify(destination);
  return hideSecrets(text) === text ? destination : null;
}

function findDestination(
  to: ResultsDestination,
  s3Url: string | undefined,
): JournaledDestination | undefined {
  if ("put" in to) return { kind: "put", url: to.put };
  if ("nfs" in to) return { kind: "nfs", server: to.nfs.server, path: to.nfs.path };
  return s3Url === undefined ? undefined : { kind: "s3", url: s3Url, ...to.s3 };
}

/** Only by the services that `job` uses itself: its credentials must not be sent where the disk says. undefined for others. */
export function resolveDestination(
  destination: JournaledDestination,
  { results, s3 }: Pick<Job, "results" | "s3">,
): ResultsDestination | undefined {
  const to = results?.to;
  switch (destination.kind) {
    case "s3": {
      const { url, bucket, prefix } = destination;
      return s3?.url === url ? { s3: { bucket, prefix } } : undefined;
    }
    case "put": {
      const { url } = destination;
      const isSame = to && "put" in to && URL.parse(to.put)?.origin === URL.parse(url)?.origin;
      return isSame ? { put: url } : undefined;
    }
    case "nfs": {
      const isSame = to && "nfs" in to && to.nfs.server === destination.server;
      return isSame ? { nfs: { ...to.nfs, path: destination.path } } : undefined;
    }
  }
}

function parseDestination(value: unknown): JournaledDestination | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { kind, url, bucket, prefix, server, path } = value as Record<string, unknown>;
  if (kind === "s3" && isHttpUrl(url) && isBucket(bucket) && isText(prefix))
    return { kind, url, bucket, prefix };
  if (kind === "put" && isHttpUrl(url)) return { kind, url };
  if (kind === "nfs" && isText(server) && /^[\w.:[\]-]+$/.test(server) && isPath(path))
    return { kind, server, path };
  return undefined;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length <= DESTINATION_MAX_LENGTH && !CONTROL.test(value);
}

function isHttpUrl(value: unknown): value is string {
  const url = isText(value) ? URL.parse(value) : null;
  return url !== null && /^https?:$/.test(url.protocol) && url.username === "" && url.password === "";
}

function isBucket(value: unknown): value is string {
  return isText(value) && /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(value);
}

function isPath(value: unknown): value is string {
  return isText(value) && value.startsWith("/") && !value.split("/").includes("..");
}
