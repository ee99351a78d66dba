/**
 * Formats the report after a boot: the phases with their times, the paths of the files, and the verdict last.
 * Pure: prints nothing.
 */
import { ERRORS } from "../agent/errors.ts";
import { formatVerdictLine, type PhaseRecord } from "../agent/wire/verdict.ts";
import type { BootResult } from "../qemu/boot-dut.ts";

const MIB = 1024 * 1024;

/** Returns lines without line ends. */
export function formatBootReport(result: BootResult, runPath: string): string[] {
  const times = [
    ...(result.upMs === undefined ? [] : [`agent up after ${formatSeconds(result.upMs)}`]),
    `powered off after ${formatSeconds(result.wallMs)}`,
    ...(result.peakRssBytes ? [`agent's peak memory ${Math.round(result.peakRssBytes / MIB)} MiB`] : []),
  ];
  const hint = result.verdict?.error?.hint ?? (result.code && ERRORS[result.code].hint);
  return [
    "",
    ...formatPhaseTable(result.verdict?.phases ?? []),
    `times: ${times.join(", ")}`,
    `run: ${runPath}`,
    result.verdict ? formatVerdictLine(result.verdict) : formatNoVerdict(result),
    ...(hint ? [`hint: ${hint}`] : []),
  ];
}

function formatNoVerdict({ code, message }: BootResult): string {
  return `dutboot: no verdict: ${code ? `code=${code} blame=${ERRORS[code].blame}: ` : ""}${message}`;
}

export function formatPhaseTable(phases: readonly PhaseRecord[]): string[] {
  if (phases.length === 0) return [];
  const width = Math.max(...phases.map(({ name }) => name.length), "phase".length);
  const row = (name: string, seconds: string, outcome: string) =>
    `  ${name.padEnd(width)}  ${seconds.padStart(8)}  ${outcome}`;
  const totalMs = phases.reduce((sum, { durationMs }) => sum + durationMs, 0);
  return [
    row("phase", "time", "outcome"),
    ...phases.map(({ name, durationMs, outcome }) => row(name, formatSeconds(durationMs), outcome)),
    row("all", formatSeconds(totalMs), ""),
  ].map((line) => line.trimEnd());
}

/** Formats a series of boots: one line per outcome, then the times. */
export function formatSeries(results: readonly BootResult[]): string[] {
  const counts = new Map<string, number>();
  for (const { outcome, exitCode } of results) {
    const name = outcome === "ended" ? `exit code ${exitCode}` : outcome;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const upTimes = results.flatMap(({ upMs }) => upMs ?? []).sort((a, b) => a - b);
  const at = (share: number) => formatSeconds(upTimes[Math.floor((upTimes.length - 1) * share)]!);
  return [
    `boots: ${results.length}`,
    ...[...counts].map(([name, count]) => `  ${name}: ${count}`),
    ...(upTimes.length > 0 ? [`  agent up: ${at(0)} to ${at(1)}, median ${at(0.5)}`] : []),
  ];
}

export function formatSeconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}
