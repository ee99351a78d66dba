/**
 * Formats the results of a boot for a terminal: the content of `report.html` as text. Control characters from the boot are removed.
 */
import { stripVTControlCharacters } from "node:util";
import { describeVerdict } from "../agent/page/describe-verdict.ts";
import { formatBytes, formatDuration, formatPercent, shortenName, showText } from "../agent/page/html.ts";
import { describeStepEnd, isStepGood, type ReportFacts, sumTransfers } from "../agent/page/report-facts.ts";
import { formatCount, truncateMiddle } from "../agent/text.ts";
import type { ReadResults } from "./read-results.ts";

export interface TextOptions {
  hasColor: boolean;
  /** Width of the terminal. */
  columns: number;
  /** How many of the log's last lines to show. */
  logLines: number;
  /** URL of the page. */
  page?: string;
}

const COLORS = { pass: "1;97;42", fail: "1;97;41", error: "1;30;43", none: "1;97;45" } as const;
const QUIET = "2";
const BAD = "31";
const LABEL_WIDTH = 28;
const NOTE_WIDTH = 14;
const BAR_WIDTH_MAX = 60;
const PARTS_MAX = 12;
const WARNINGS_MAX = 10;
const LEVELS = "▁▂▃▄▅▆▇█";

export function formatResultsText(results: ReadResults, options: TextOptions): string {
  const { facts, verdict, job, files, problems, log } = results;
  const paint = (code: string, text: string) => (options.hasColor ? `\x1b[${code}m${text}\x1b[0m` : text);
  const clean = (text: string) => showText(stripVTControlCharacters(text)).replace(/\s*\n\s*/g, " ");
  const description = describeVerdict(verdict, facts);
  const subjects = [job.root, formatDuration(facts.endMs), facts.bootId && `boot ${facts.bootId}`];
  const lines = [
    `${paint(COLORS[description.state], ` ${description.title.toUpperCase()} `)} ${clean(description.subtitle)}`,
    paint(
      QUIET,
      `  ${subjects
        .filter((text) => text !== undefined)
        .map((text) => clean(shortenName(text, 120)))
        .join(" · ")}`,
    ),
  ];
  if (description.error) {
    const { code, blame, whoActs, message, hint } = description.error;
    lines.push(
      "",
      `  ${clean(code)}: ${clean(message)}`,
      `  to do: ${clean(hint)}`,
      `  to act: ${clean(blame)}, ${whoActs}`,
    );
  }
  const barWidth = Math.max(10, Math.min(BAR_WIDTH_MAX, options.columns - LABEL_WIDTH - NOTE_WIDTH - 6));
  const timeline = formatTimeline(facts, barWidth).map(({ label, bar, note, isBad }) => {
    const name = clean(truncateMiddle(label, LABEL_WIDTH)).padEnd(LABEL_WIDTH);
    return `  ${name} ${isBad ? paint(BAD, bar) : bar} ${clean(note).padStart(NOTE_WIDTH)}`;
  });
  if (timeline.length > 0) lines.push("", ...timeline);
  lines.push("", ...formatNumbers(results).map(([name, value]) => `  ${name.padEnd(10)} ${clean(value)}`));
  for (const problem of problems) lines.push(`  ${paint(BAD, "note")}       ${clean(problem)}`);
  for (const [what, names] of [
    ["missing", files.missing],
    ["changed", files.changed],
    ["not uploaded", files.notUploaded.map(({ name, code }) => `${name} (${code})`)],
  ] as const) {
    for (const name of names.slice(0, PARTS_MAX))
      lines.push(`  ${paint(BAD, what)}: ${clean(truncateMiddle(name, 200))}`);
    if (names.length > PARTS_MAX) lines.push(`  and ${names.length - PARTS_MAX} more`);
  }
  if (facts.warningCount > 0) {
    lines.push("", `  ${formatCount(facts.warningCount)} warning${facts.warningCount === 1 ? "" : "s"}`);
    for (const { atMs, isError, text } of facts.warnings.slice(0, WARNINGS_MAX))
      lines.push(
        `  ${formatDuration(atMs).padStart(9)}  ${isError ? paint(BAD, "error") : "warning"}: ${clean(truncateMiddle(text, 300))}`,
      );
  }
  const tail = options.logLines > 0 ? log.lines.slice(-options.logLines) : [];
  if (tail.length > 0)
    lines.push(
      "",
      `  the end of dutboot.log`,
      ...tail.map((line) => `  ${paint(QUIET, "│")} ${clean(line)}`),
    );
  if (facts.reproducers.length > 0) lines.push("", ...facts.reproducers.map((line) => `  ${clean(line)}`));
  if (options.page !== undefined) lines.push("", `  page: ${clean(options.page)}`);
  return `${lines.join("\n")}\n`;
}

interface Row {
  label: string;
  bar: string;
  note: string;
  isBad?: boolean;
}

function formatTimeline(facts: ReportFacts, width: number): Row[] {
  const { endMs, agentStartMs } = facts;
  const at = (ms: number) => Math.min(width - 1, Math.floor((ms * width) / Math.max(1, endMs)));
  const draw = (fromMs: number, toMs: number, sign: string) => {
    const from = at(fromMs);
    const length = Math.max(1, Math.round(((toMs - fromMs) * width) / Math.max(1, endMs)));
    return `${" ".repeat(from)}${sign.repeat(Math.min(length, width - from))}`.padEnd(width);
  };
  const phases = facts.phases.filter(({ outcome }) => outcome !== "skipped");
  const rows: Row[] = [];
  if (agentStartMs !== undefined)
    rows.push({ label: "kernel", bar: draw(0, agentStartMs, "░"), note: formatDuration(agentStartMs) });
  for (const [index, phase] of phases.entries()) {
    const end = phase.endMs ?? endMs;
    const next = phases[index + 1]?.startMs ?? Number.POSITIVE_INFINITY;
    const isWithin = ({ startMs }: { startMs: number }) => startMs >= phase.startMs && startMs < next;
    const note = phase.endMs === undefined ? "not finished" : formatDuration(end - phase.startMs);
    rows.push({
      label: phase.name,
      bar: draw(phase.startMs, end, "█"),
      note,
      isBad: phase.outcome === "failed",
    });
    const transfers = facts.transfers
      .filter(isWithin)
      .map(({ name, startMs, endMs: ended, fetchedBytes }): Row & { startMs: number } => ({
        startMs,
        label: `  ${shortenName(name, LABEL_WIDTH - 2)}`,
        bar: draw(startMs, ended, "▬"),
        note: fetchedBytes > 0 ? formatBytes(fetchedBytes) : "reused",
      }));
    const steps = facts.steps.filter(isWithin).map((step): Row & { startMs: number } => ({
      startMs: step.startMs,
      label: `  ${truncateMiddle(step.name, LABEL_WIDTH - 2)}`,
      bar: draw(step.startMs, step.endMs ?? endMs, "▬"),
      note: describeStepEnd(step),
      isBad: step.kind !== "service" && !isStepGood(step),
    }));
    const parts = [...transfers, ...steps].sort((a, b) => a.startMs - b.startMs);
    rows.push(...parts.slice(0, PARTS_MAX));
    if (parts.length > PARTS_MAX)
      rows.push({ label: `  and ${parts.length - PARTS_MAX} more`, bar: " ".repeat(width), note: "" });
  }
  return [...rows, ...formatSamples(facts, width)];
}

/** One column for each interval, as high as its highest sample. */
function formatSamples({ samples, endMs }: ReportFacts, width: number): Row[] {
  const total = samples[0]?.memoryTotalBytes ?? 0;
  if (samples.length < 2 || total === 0) return [];
  const memory = Array.from({ length: width }, () => 0);
  const cpu = Array.from({ length: width }, () => 0);
  let last = 0;
  for (const { atMs, memoryUsedBytes, cpuPercent } of samples) {
    const column = Math.min(width - 1, Math.floor((atMs * width) / Math.max(1, endMs)));
    // The columns between two samples show the later one.
    for (let at = last === 0 ? column : last + 1; at <= column; at++) {
      memory[at] = Math.max(memory[at]!, memoryUsedBytes / total);
      cpu[at] = Math.max(cpu[at]!, cpuPercent / 100);
    }
    last = column;
  }
  const draw = (shares: readonly number[]) =>
    shares.map((share) => (share <= 0 ? " " : LEVELS[Math.min(7, Math.floor(share * 8))])).join("");
  const most = Math.max(...samples.map(({ memoryUsedBytes }) => memoryUsedBytes));
  const busiest = Math.max(...samples.map(({ cpuPercent }) => cpuPercent));
  return [
    { label: `memory, of ${formatBytes(total)}`, bar: draw(memory), note: formatBytes(most) },
    { label: "CPU, of all cores", bar: draw(cpu), note: `${Math.round(busiest)} %` },
  ];
}

function formatNumbers({ facts, files, verdict }: ReadResults): (readonly [string, string])[] {
  const { tests, transfers, machine, agentVersion } = facts;
  const rows: (readonly [string, string])[] = [];
  const { fetchedBytes, reusedBytes } = sumTransfers(transfers);
  if (verdict) rows.push(["exit code", verdict.exitCode === null ? "none" : String(verdict.exitCode)]);
  if (transfers.length > 0)
    rows.push([
      "fetched",
      `${formatBytes(fetchedBytes)}, ${formatBytes(reusedBytes)} reused (${formatPercent(reusedBytes, fetchedBytes + reusedBytes)})`,
    ]);
  if (tests) {
    const { total, passed, failed, skipped, sources } = tests;
    const counts = `${formatCount(passed)} passed, ${formatCount(failed)} failed, ${formatCount(skipped)} skipped`;
    rows.push(["tests", `${formatCount(total)}: ${counts} (${sources.join(", ")})`]);
  }
  rows.push([
    "files",
    files.listed === undefined
      ? "no manifest: the expected files are unknown"
      : `${formatCount(files.good)} of ${formatCount(files.listed)} match the manifest, ${formatBytes(files.totalBytes)}`,
  ]);
  if (machine)
    rows.push([
      "machine",
      `${machine.kernel}, ${machine.architecture}, ${machine.cpu}, ${formatBytes(machine.ramBytes)}`,
    ]);
  if (agentVersion !== undefined) rows.push(["agent", `dutboot ${agentVersion}`]);
  return rows;
}
