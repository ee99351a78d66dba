/**
 * The timeline of a boot: the kernel and the phases as bars on a common time axis, each followed by its transfers and steps.
 */

import { truncateMiddle } from "../text.ts";
import { formatBytes, formatDuration, formatPercent, shortenName } from "./format.ts";
import { type Html, html, takeWithin } from "./html.ts";
import {
  describeStepEnd,
  isStepGood,
  type ReportFacts,
  type StepSpan,
  type Transfer,
} from "./report-facts.ts";
import { formatAxisRow, formatGridDefinition, formatPosition, GRID, type TimeAxis } from "./time-axis.ts";

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
