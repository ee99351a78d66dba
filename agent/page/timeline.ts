/**
 * The timeline of a boot: the kernel and the phases as bars on a common time axis, each followed by its transfers and steps.
 */
import { truncateMiddle } from "../text.ts";
import { formatBytes, formatDuration, formatPercent, Html, html, shortenName, takeWithin } from "./html.ts";
import {
  describeStepEnd,
  isStepGood,
  type ReportFacts,
  type StepSpan,
  type Transfer,
} from "./report-facts.ts";

interface Bar {
  label: string;
  /** The class of its colour. */
  state: "before" | "done" | "failed" | "open" | "transfer" | "step" | "service" | "rest";
  level: 0 | 1;
  startMs: number;
  endMs: number;
  /** A short text after the bar. */
  note: string;
  /** The end of the tooltip. */
  detail: string;
}

const LABEL_LENGTH = 60;
/** Transfers and steps of one phase; the longest are shown. */
const PARTS_MAX = 30;
const HTML_MAX_BYTES = 80 * 1024;

export function formatTimeline(facts: ReportFacts, axis: TimeAxis): Html {
  const rows = listBars(facts).map((bar) => formatBar(bar, axis));
  const shown = takeWithin(HTML_MAX_BYTES, rows);
  const left = rows.length - shown.length;
  return html`${formatGridDefinition(axis)}<div role="list" aria-label="Timeline of the boot">
${shown}</div>${left > 0 && html`<p class="quiet">and ${left} more</p>`}
${formatAxisRow(axis)}`;
}

/** In chronological order, each part after its phase. */
function listBars(facts: ReportFacts): Bar[] {
  const { endMs, agentStartMs } = facts;
  const before: Bar[] =
    agentStartMs === undefined
      ? []
      : [
          {
            label: "kernel",
            state: "before",
            level: 0,
            startMs: 0,
            endMs: agentStartMs,
            note: formatDuration(agentStartMs),
            detail: "the kernel and init, until the agent ran",
          },
        ];
  const phases = facts.phases.filter(({ outcome }) => outcome !== "skipped");
  return [
    ...before,
    ...phases.flatMap((phase, at) => {
      const end = phase.endMs ?? endMs;
      const next = phases[at + 1]?.startMs ?? Number.POSITIVE_INFINITY;
      const parts = listParts(facts, { from: phase.startMs, to: next });
      const isOpen = phase.outcome === undefined;
      const bar: Bar = {
        label: phase.name,
        level: 0,
        startMs: phase.startMs,
        endMs: end,
        state: isOpen ? "open" : phase.outcome === "failed" ? "failed" : "done",
        note: isOpen ? "not finished" : formatDuration(end - phase.startMs),
        detail: isOpen ? "not finished" : (phase.outcome ?? ""),
      };
      return [bar, ...parts];
    }),
  ];
}

function listParts(
  { transfers, steps, endMs }: ReportFacts,
  { from, to }: { from: number; to: number },
): Bar[] {
  const isWithin = ({ startMs }: { startMs: number }) => startMs >= from && startMs < to;
  const parts = [
    ...transfers.filter(isWithin).map(
      (transfer): Bar => ({
        label: shortenName(transfer.name, LABEL_LENGTH),
        state: "transfer",
        level: 1,
        startMs: transfer.startMs,
        endMs: transfer.endMs,
        ...describeTransfer(transfer),
      }),
    ),
    ...steps.filter(isWithin).map((step): Bar => {
      const ended = step.endMs ?? endMs;
      return {
        label: truncateMiddle(step.kind === "main" ? step.name : `${step.kind}: ${step.name}`, LABEL_LENGTH),
        level: 1,
        startMs: step.startMs,
        endMs: ended,
        state: chooseStepState(step),
        note: formatDuration(ended - step.startMs),
        detail: describeStepEnd(step),
      };
    }),
  ];
  const longest = parts.toSorted((a, b) => b.endMs - b.startMs - (a.endMs - a.startMs)).slice(0, PARTS_MAX);
  const shown = longest.sort((a, b) => a.startMs - b.startMs);
  const left = parts.length - shown.length;
  if (left === 0) return shown;
  const last = Math.max(...parts.map((part) => part.endMs));
  const rest = {
    label: `and ${left} shorter ones`,
    state: "rest",
    level: 1,
    note: "",
    detail: "not shown",
  } as const;
  return [...shown, { ...rest, startMs: from, endMs: last }];
}

/** The exit code of a service does not count: it ends when it is stopped. */
function chooseStepState(step: StepSpan): Bar["state"] {
  if (step.kind === "service") return "service";
  if (step.endMs === undefined) return "open";
  return isStepGood(step) ? "step" : "failed";
}

function describeTransfer({ fetchedBytes, reusedBytes, startMs, endMs }: Transfer) {
  if (fetchedBytes === 0 && reusedBytes > 0)
    return { note: "reused", detail: `all of it reused, ${formatBytes(reusedBytes)}` };
  const total = fetchedBytes + reusedBytes;
  const reused = reusedBytes === 0 ? "" : `, ${formatPercent(reusedBytes, total)} reused`;
  return {
    note: formatBytes(fetchedBytes),
    detail: `${formatBytes(fetchedBytes)} in ${formatDuration(endMs - startMs)}${reused}`,
  };
}

function formatBar({ label, state, level, startMs, endMs, note, detail }: Bar, axis: TimeAxis): Html {
  const from = axis.position(startMs);
  const width = axis.position(endMs) - from;
  const title = `${label}: from ${formatDuration(startMs)} to ${formatDuration(endMs)}; ${detail}`;
  const shape = html`x="${formatPosition(from)}" width="${formatPosition(width)}"`;
  return html`<div class="row level${level}" role="listitem"><span class="label">${label}</span><svg class="track" width="100%" height="${level === 0 ? 24 : 18}" role="img"><title>${title}</title>${GRID}<rect class="bar ${state}" ${shape} y="5" height="${level === 0 ? 14 : 8}" rx="2"/></svg><span class="note">${note}</span></div>
`;
}

export interface TimeAxis {
  endMs: number;
  ticks: readonly { ms: number; label: string }[];
  /** A position on the axis, in percent. */
  position(ms: number): number;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const STEPS_MS = [
  ...[0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30].map((seconds) => seconds * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2, 3, 6, 12, 24].map((hours) => hours * HOUR),
];
/** As many labels as fit on a phone. */
const TICKS_MAX = 5;

export function createTimeAxis(lastMs: number): TimeAxis {
  const endMs = Math.max(lastMs, 1);
  const stepMs =
    STEPS_MS.find((step) => endMs / step <= TICKS_MAX) ?? Math.ceil(endMs / TICKS_MAX / HOUR) * HOUR;
  const ticks: { ms: number; label: string }[] = [];
  // A label at the very end would be cut off.
  for (let ms = 0; ms <= endMs * 0.96; ms += stepMs) ticks.push({ ms, label: formatTick(ms, stepMs) });
  const position = (ms: number) => Math.min(100, Math.max(0, (ms * 100) / endMs));
  return { endMs, ticks, position };
}

function formatTick(ms: number, stepMs: number): string {
  if (ms === 0) return "0";
  if (stepMs >= HOUR) return `${ms / HOUR} h`;
  if (stepMs >= MINUTE) return `${ms / MINUTE} min`;
  if (ms < MINUTE) return `${Number((ms / SECOND).toFixed(1))} s`;
  const seconds = (ms % MINUTE) / SECOND;
  return `${Math.floor(ms / MINUTE)}:${String(seconds).padStart(2, "0")}`;
}

/** Short, because a page has thousands of them. */
export const formatPosition = (percent: number) => `${Number(percent.toFixed(2))}%`;

/** The vertical lines of the ticks, defined once and used by every row. */
function formatGridDefinition({ ticks, position }: TimeAxis): Html {
  const lines = ticks.map(({ ms }) => {
    const x = formatPosition(position(ms));
    return html`<line class="grid" x1="${x}" x2="${x}" y1="0" y2="100%"/>`;
  });
  return html`<svg width="0" height="0" class="hidden" aria-hidden="true"><defs><g id="grid">${lines}</g></defs></svg>`;
}

export const GRID = new Html('<use href="#grid"/>');

export function formatAxisRow({ ticks, position }: TimeAxis): Html {
  const labels = ticks.map(({ ms, label }, at) => {
    const anchor = at === 0 ? "start" : "middle";
    return html`<text x="${formatPosition(position(ms))}" y="12" text-anchor="${anchor}">${label}</text>`;
  });
  return html`<div class="row axis" aria-hidden="true"><svg class="track" width="100%" height="16">${labels}</svg></div>
`;
}
