/**
 * Memory and CPU over time, as two charts on the timeline's axis.
 */
import { formatBytes, type Html, html } from "./html.ts";
import type { ReportFacts, Sample } from "./report-facts.ts";
import { formatAxisRow, GRID, type TimeAxis } from "./timeline.ts";

/** More points would be closer than pixels. */
const POINTS_MAX = 300;
const HEIGHT = 64;

export function formatResources({ samples }: ReportFacts, axis: TimeAxis): Html | undefined {
  const shown = thinSamples(samples, POINTS_MAX);
  const [first] = shown;
  if (!first || shown.length < 2) return undefined;
  const most = Math.max(...shown.map(({ memoryUsedBytes }) => memoryUsedBytes));
  const total = Math.max(1, first.memoryTotalBytes);
  const busiest = Math.round(Math.max(...shown.map(({ cpuPercent }) => cpuPercent)));
  const memory = shown.map(({ atMs, memoryUsedBytes }) => ({ atMs, share: memoryUsedBytes / total }));
  const cpu = shown.map(({ atMs, cpuPercent }) => ({ atMs, share: cpuPercent / 100 }));
  return html`${formatChart(
    { kind: "memory", label: "Memory", note: formatBytes(most), detail: `peak, of ${formatBytes(total)}` },
    memory,
    axis,
  )}${formatChart({ kind: "cpu", label: "CPU", note: `${busiest} %`, detail: "peak, of all cores" }, cpu, axis)}${formatAxisRow(axis)}`;
}

interface ChartLabels {
  kind: string;
  label: string;
  note: string;
  detail: string;
}

function formatChart(
  { kind, label, note, detail }: ChartLabels,
  points: readonly { atMs: number; share: number }[],
  axis: TimeAxis,
): Html {
  const locate = ({ atMs, share }: { atMs: number; share: number }) => {
    const y = (1 - Math.min(1, Math.max(0, share))) * (HEIGHT - 2) + 1;
    return `${Number((axis.position(atMs) * 10).toFixed(1))},${Number(y.toFixed(1))}`;
  };
  const line = points.map(locate).join(" ");
  const from = locate({ atMs: points[0]!.atMs, share: 0 }).split(",")[0];
  const to = locate({ atMs: points.at(-1)!.atMs, share: 0 }).split(",")[0];
  const title = `${label}: ${note} ${detail}`;
  // The inner drawing is stretched to the page's width, except its line width.
  return html`<div class="row chart"><span class="label">${label}</span><svg class="track" width="100%" height="${HEIGHT}" role="img"><title>${title}</title>${GRID}<svg viewBox="0 0 1000 ${HEIGHT}" preserveAspectRatio="none" width="100%" height="100%"><polygon class="area ${kind}" points="${from},${HEIGHT} ${line} ${to},${HEIGHT}"/><polyline class="line ${kind}" points="${line}" vector-effect="non-scaling-stroke"/></svg></svg><span class="note">${note}<small> ${detail}</small></span></div>
`;
}

/** Keeps the maximum of each group, so that peaks remain. */
function thinSamples(samples: readonly Sample[], most: number): readonly Sample[] {
  const size = Math.ceil(samples.length / most);
  if (size <= 1) return samples;
  const groups = Array.from({ length: Math.ceil(samples.length / size) }, (_, at) =>
    samples.slice(at * size, (at + 1) * size),
  );
  return groups.map((group) => ({
    ...group[0]!,
    memoryUsedBytes: Math.max(...group.map(({ memoryUsedBytes }) => memoryUsedBytes)),
    cpuPercent: Math.max(...group.map(({ cpuPercent }) => cpuPercent)),
  }));
}
