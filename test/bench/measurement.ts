/**
 * The figures of one pull, and the ratios of pairs: both pulls of a pair follow each other on the
 * same machine, because absolute times of a shared machine say little.
 */
import { formatSpread, measureSpread, type Spread } from "./statistics.ts";

export interface Measured {
  ms: number;
  peakRssBytes: number;
  /** Over the wire, both directions, where it was counted. */
  wireBytes?: number;
  /** The agent's stages. */
  phasesMs?: Readonly<Record<string, number>>;
}

/** One case in one run: the puller and its figures. */
export interface Round {
  agent: Measured;
  podman: Measured;
  curl?: Measured;
}

/** The project's marks for a case. */
export interface Marks {
  time?: number;
  bytes?: number;
  /** Of the agent's memory, in bytes. */
  memoryBytes: number;
}

export interface CaseResult {
  image: string;
  name: string;
  rounds: readonly Round[];
  marks: Marks;
}

export interface CaseSummary {
  seconds: Partial<Record<keyof Round, Spread>>;
  peakMegabytes: Partial<Record<keyof Round, Spread>>;
  wireMegabytes: Partial<Record<keyof Round, Spread>>;
  timeRatio: Spread;
  curlRatio?: Spread;
  bytesRatio?: Spread;
  /** Describes the missed marks. */
  missed: string[];
}

const ACTORS = ["agent", "podman", "curl"] as const;

export function summarize({ rounds, marks }: CaseResult): CaseSummary {
  const spreadOf = (read: (measured: Measured) => number | undefined) =>
    Object.fromEntries(
      ACTORS.flatMap((actor) => {
        const values = rounds.flatMap((round) => round[actor] ?? []).flatMap((each) => read(each) ?? []);
        return values.length > 0 ? [[actor, measureSpread(values)]] : [];
      }),
    ) as Partial<Record<keyof Round, Spread>>;
  const ratioOf = (divide: (round: Round) => number | undefined) => {
    const values = rounds.flatMap((round) => divide(round) ?? []);
    return values.length > 0 ? measureSpread(values) : undefined;
  };
  const timeRatio = ratioOf(({ agent, podman }) => agent.ms / podman.ms)!;
  const curlRatio = ratioOf(({ agent, curl }) => curl && agent.ms / curl.ms);
  const bytesRatio = ratioOf(({ agent, podman }) =>
    agent.wireBytes !== undefined && podman.wireBytes !== undefined
      ? agent.wireBytes / podman.wireBytes
      : undefined,
  );
  const peakMegabytes = spreadOf(({ peakRssBytes }) => peakRssBytes / 1e6);
  const missed: string[] = [];
  const hold = (what: string, value: number | undefined, mark: number | undefined, digits = 2) => {
    if (value === undefined || mark === undefined || value <= mark) return;
    missed.push(`${what} ${value.toFixed(digits)}, mark ${mark.toFixed(digits)}`);
  };
  hold("time", timeRatio.median, marks.time);
  hold("bytes", bytesRatio?.median, marks.bytes);
  hold("memory in MB", peakMegabytes.agent?.max, marks.memoryBytes / 1e6, 0);
  return {
    seconds: spreadOf(({ ms }) => ms / 1000),
    peakMegabytes,
    wireMegabytes: spreadOf(({ wireBytes }) => wireBytes && wireBytes / 1e6),
    timeRatio,
    curlRatio,
    bytesRatio,
    missed,
  };
}

/** A table in Markdown. */
export function formatTable(results: readonly CaseResult[]): string {
  const rows = results.map((result) => {
    const summary = summarize(result);
    const seconds = ACTORS.map((actor) => formatCell(summary.seconds[actor], 2));
    return [
      result.image,
      result.name,
      ...seconds,
      formatRatio(summary.timeRatio, result.marks.time),
      formatCell(summary.curlRatio, 2),
      formatBytes(summary, result.marks.bytes),
      `${formatCell(summary.peakMegabytes.agent, 0)}, podman ${formatCell(summary.peakMegabytes.podman, 0)}`,
    ];
  });
  const head = [
    ...["image", "pull", "dutboot s", "podman s", "curl s", "ratio to podman (mark)", "ratio to curl"],
    ...["MB over the wire", "peak memory MB"],
  ];
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function formatCell(spread: Spread | undefined, digits: number): string {
  return spread ? formatSpread(spread, digits) : "";
}

function formatRatio(ratio: Spread, mark: number | undefined): string {
  return `${formatSpread(ratio)}${mark === undefined ? "" : ` (${mark.toFixed(2)})`}`;
}

function formatBytes({ wireMegabytes, bytesRatio }: CaseSummary, mark: number | undefined): string {
  if (!bytesRatio) return "";
  const { agent, podman } = wireMegabytes;
  const ratio = formatRatio(bytesRatio, mark);
  return `${formatCell(agent, 2)}, podman ${formatCell(podman, 2)}: ${ratio}`;
}
