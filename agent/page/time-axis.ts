/**
 * The time axis of the timeline and the charts, from the start of the kernel. Positions are percentages, so that drawings scale with the
 * page but their text does not.
 */
import { Html, html } from "./html.ts";

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
export function formatGridDefinition({ ticks, position }: TimeAxis): Html {
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
