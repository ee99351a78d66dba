/**
 * What a report tells of a boot, read from its events (`events.jsonl`: event lines and the records of the log between them).
 * The page on the DUT and `dutboot results` on a laptop are made from the same facts; a file that was cut short gives what it has,
 * and one that somebody tampered with gives no more than wrong facts.
 */
import { parseEventLine } from "../wire/event.ts";
import type { PhaseRecord } from "../wire/verdict.ts";

/** Times are of the DUT's own clock since its kernel started, in milliseconds. */
export interface ReportFacts {
  agentVersion?: string;
  bootId?: string;
  machine?: { kernel: string; architecture: string; cpu: string; ramBytes: number };
  /** Of the agent's first event. */
  agentStartMs?: number;
  /** Of the last line. */
  endMs: number;
  phases: PhaseSpan[];
  transfers: Transfer[];
  steps: StepSpan[];
  samples: Sample[];
  /** Records of the log of level warn and above; the first of them, and how many there are. */
  warnings: { atMs: number; isError: boolean; text: string }[];
  warningCount: number;
  tests?: TestCounts;
  /** Lines that repeat the job elsewhere. */
  reproducers: string[];
}

export interface PhaseSpan {
  name: string;
  startMs: number;
  /** Absent for one that never ended. */
  endMs?: number;
  outcome?: PhaseRecord["outcome"];
}

export interface Transfer {
  kind: "layer" | "archive";
  name: string;
  startMs: number;
  endMs: number;
  /** That came over the network, and that were here already. */
  fetchedBytes: number;
  reusedBytes: number;
}

export interface StepSpan {
  id: string;
  kind: string;
  name: string;
  startMs: number;
  endMs?: number;
  /** Null where it could not run. */
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

export interface TestCounts {
  total: number;
  passed: number;
  failed: number;
  skipped: number;
  sources: string[];
}

const WARNINGS_MAX = 100;
/** Of each kind: what a boot has is far below. */
const SPANS_MAX = 10_000;

/** The topic under which the agent tells the lines of `reproducers`. */
export const REPRODUCE_TOPIC = "reproduce";

export interface FactsReader {
  /** One line, without its end. */
  add(line: string): void;
  readonly facts: ReportFacts;
}

export function createFactsReader(): FactsReader {
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
    add(line) {
      // Most records of the log are of no interest here, and parsing is what costs.
      const isEvent = line.includes('"event":');
      if (!isEvent && !/"level":"(warn|error|fatal)"/.test(line)) return;
      const event = isEvent ? parseEventLine(line) : undefined;
      if (event) addEvent(facts, event as unknown as Fields);
      else addRecord(facts, line);
    },
  };
}

/** Of an event as it was read: nobody vouches for their types. */
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
  // One that is skipped has no start.
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

/** A record of the log; what is none (a cut line) is left out. */
function addRecord(facts: ReportFacts, line: string): void {
  let record: Fields;
  try {
    record = Object(JSON.parse(line)) as Fields;
  } catch {
    return; // cut short
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
  if (endMs === undefined) return "it had not ended";
  const code =
    exitCode === null || exitCode === undefined
      ? `it could not run${error ? `: ${error}` : ""}`
      : `exit code ${exitCode}`;
  return `${code}${oomKilled ? ", out of memory" : ""}${timedOut ? ", out of time" : ""}`;
}

export interface TransferSums {
  fetchedBytes: number;
  reusedBytes: number;
}

export function sumTransfers(transfers: readonly Transfer[]): TransferSums {
  return transfers.reduce(
    (sum, { fetchedBytes, reusedBytes }) => ({
      fetchedBytes: sum.fetchedBytes + fetchedBytes,
      reusedBytes: sum.reusedBytes + reusedBytes,
    }),
    { fetchedBytes: 0, reusedBytes: 0 },
  );
}
