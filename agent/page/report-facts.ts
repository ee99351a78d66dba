/**
 * The facts of a boot for its report, read from `events.jsonl`: event lines, and the records of the log between them. The page on the DUT
 * and `dutboot results` use the same facts. The file may be cut short or forged, so every field is checked.
 */
import type { TestSummary } from "../junit/summary.ts";
import { parseEventLine } from "../wire/event.ts";
import type { PhaseRecord } from "../wire/verdict.ts";

/** Times are milliseconds since the start of the kernel. */
export interface ReportFacts {
  agentVersion?: string;
  bootId?: string;
  machine?: { kernel: string; architecture: string; cpu: string; ramBytes: number };
  agentStartMs?: number;
  /** The time of the last line. */
  endMs: number;
  phases: PhaseSpan[];
  transfers: Transfer[];
  steps: StepSpan[];
  samples: Sample[];
  /** The first log records of level warn and above. */
  warnings: { atMs: number; isError: boolean; text: string }[];
  /** The number of all. */
  warningCount: number;
  tests?: TestSummary;
  /** Commands that reproduce the job. */
  reproducers: string[];
}

export interface PhaseSpan {
  name: string;
  startMs: number;
  /** undefined for a phase that never ended. */
  endMs?: number;
  outcome?: PhaseRecord["outcome"];
}

export interface Transfer {
  kind: "layer" | "archive";
  name: string;
  startMs: number;
  endMs: number;
  /** By the network, and from the store. */
  fetchedBytes: number;
  reusedBytes: number;
}

export interface StepSpan {
  id: string;
  kind: string;
  name: string;
  startMs: number;
  endMs?: number;
  /** Null when it could not run. */
  exitCode?: number | null;
  error?: string;
  oomKilled?: boolean;
  timedOut?: boolean;
}

export interface Sample {
  atMs: number;
  memoryUsedBytes: number;
  memoryTotalBytes: number;
  /** Of all CPUs together, 0 to 100. */
  cpuPercent: number;
}

const WARNINGS_MAX = 100;
/** Of each kind; a boot has far fewer. */
const SPANS_MAX = 10_000;

/** The topic of the event with the reproducers. */
export const REPRODUCE_TOPIC = "reproduce";

export type FactsReader = ReturnType<typeof createFactsReader>;

export function createFactsReader() {
  const facts: ReportFacts = {
    endMs: 0,
    phases: [],
    transfers: [],
    steps: [],
    samples: [],
    warnings: [],
    warningCount: 0,
    reproducers: [],
  };
  return {
    facts,
    /** `line` is without its line end. */
    add(line: string) {
      // Parsing is expensive, and most log records are not needed.
      const isEvent = line.includes('"event":');
      if (!isEvent && !/"level":"(warn|error|fatal)"/.test(line)) return;
      const event = isEvent ? parseEventLine(line) : undefined;
      if (event) addEvent(facts, event as unknown as Fields);
      else addRecord(facts, line);
    },
  };
}

/** Of an event that is not checked yet. */
type Fields = Readonly<Record<string, unknown>>;

const textOf = (value: unknown) => (typeof value === "string" ? value : "");
const numberOf = (value: unknown) => (typeof value === "number" && Number.isFinite(value) ? value : 0);

function addEvent(facts: ReportFacts, event: Fields): void {
  const atMs = Math.max(0, numberOf(event.uptimeMs));
  facts.endMs = Math.max(facts.endMs, atMs);
  const [open] = [facts.phases, facts.transfers, facts.steps, facts.samples].filter(
    ({ length }) => length >= SPANS_MAX,
  );
  if (open) return;
  switch (event.event) {
    case "start":
      facts.agentStartMs = atMs;
      facts.agentVersion = textOf(event.agent);
      if (event.bootId !== undefined) facts.bootId = textOf(event.bootId);
      break;
    case "machine":
      facts.machine = {
        kernel: textOf(event.kernel),
        architecture: textOf(event.architecture),
        cpu: textOf(event.cpu),
        ramBytes: numberOf(event.ramBytes),
      };
      break;
    case "phase_start":
      facts.phases.push({ name: textOf(event.phase), startMs: atMs });
      break;
    case "phase_end":
      endPhase(facts, event, atMs);
      break;
    case "transfer":
      facts.transfers.push({
        kind: event.kind === "layer" ? "layer" : "archive",
        name: textOf(event.name),
        startMs: Math.max(0, atMs - numberOf(event.durationMs)),
        endMs: atMs,
        fetchedBytes: numberOf(event.fetchedBytes),
        reusedBytes: numberOf(event.reusedBytes),
      });
      break;
    case "step_start":
      facts.steps.push({
        id: textOf(event.id),
        kind: textOf(event.kind),
        name: textOf(event.name),
        startMs: atMs,
      });
      break;
    case "step_end":
      endStep(facts, event, atMs);
      break;
    case "sample":
      facts.samples.push({
        atMs,
        memoryUsedBytes: numberOf(event.memoryUsedBytes),
        memoryTotalBytes: numberOf(event.memoryTotalBytes),
        cpuPercent: numberOf(event.cpuPercent),
      });
      break;
    case "report":
      addReport(facts, event);
      break;
  }
}

function endPhase({ phases }: ReportFacts, event: Fields, endMs: number): void {
  const name = textOf(event.phase);
  const outcome = textOf(event.outcome) as NonNullable<PhaseSpan["outcome"]>;
  const phase = phases.findLast((each) => each.name === name && each.endMs === undefined);
  // A skipped phase has no start.
  if (phase) Object.assign(phase, { endMs, outcome });
  else phases.push({ name, startMs: endMs, endMs, outcome });
}

function endStep({ steps }: ReportFacts, event: Fields, endMs: number): void {
  const step = steps.findLast(({ id }) => id === event.id);
  if (!step) return;
  step.endMs = endMs;
  step.exitCode = event.exitCode === null ? null : numberOf(event.exitCode);
  if (event.error !== undefined) step.error = textOf(event.error);
  if (event.oomKilled === true) step.oomKilled = true;
  if (event.timedOut === true) step.timedOut = true;
}

function addReport(facts: ReportFacts, event: Fields): void {
  if (event.topic === "tests") {
    facts.tests = {
      total: numberOf(event.total),
      passed: numberOf(event.passed),
      failed: numberOf(event.failed),
      skipped: numberOf(event.skipped),
      sources: listTexts(event.sources),
    };
  } else if (event.topic === REPRODUCE_TOPIC) facts.reproducers = listTexts(event.lines);
}

function listTexts(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

/** Ignores lines that are not log records, such as cut ones. */
function addRecord(facts: ReportFacts, line: string): void {
  let record: Fields;
  try {
    record = Object(JSON.parse(line)) as Fields;
  } catch {
    return;
  }
  const { level } = record;
  if (level !== "warn" && level !== "error" && level !== "fatal") return;
  const atMs = numberOf(record.uptimeMs);
  facts.endMs = Math.max(facts.endMs, atMs);
  facts.warningCount++;
  if (facts.warnings.length < WARNINGS_MAX)
    facts.warnings.push({ atMs, isError: level !== "warn", text: textOf(record.msg) });
}

export function isStepGood({ exitCode, oomKilled, timedOut, error }: StepSpan): boolean {
  return exitCode === 0 && !oomKilled && !timedOut && error === undefined;
}

export function describeStepEnd({ endMs, exitCode, error, oomKilled, timedOut }: StepSpan): string {
  if (endMs === undefined) return "not ended";
  const code =
    exitCode === null || exitCode === undefined
      ? `could not run${error ? `: ${error}` : ""}`
      : `exit code ${exitCode}`;
  return `${code}${oomKilled ? ", out of memory" : ""}${timedOut ? ", out of time" : ""}`;
}

export function sumTransfers(transfers: readonly Transfer[]) {
  const sums = { fetchedBytes: 0, reusedBytes: 0 };
  for (const { fetchedBytes, reusedBytes } of transfers) {
    sums.fetchedBytes += fetchedBytes;
    sums.reusedBytes += reusedBytes;
  }
  return sums;
}
