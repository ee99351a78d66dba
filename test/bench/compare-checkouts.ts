/**
 * Compares the agent of this checkout with those of other checkouts (`--against DIRECTORY`) in one run: in every round each
 * of them pulls the same image to an empty disk. Ratios are taken within a round.
 */
import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { removeTree } from "../../qemu/cache-entry.ts";
import { runProcess } from "../../qemu/run-process.ts";
import type { ToolsRoot } from "../../qemu/tools-root.ts";
import { type BenchGoods, FORMATS } from "./bench-goods.ts";
import { type CaseName, warmStorage } from "./bench-run.ts";
import { type BenchAgent, bundleBenchAgent } from "./case-agent.ts";
import { startPlainRegistry } from "./plain-registry.ts";
import { createScratchDisk } from "./scratch-disk.ts";
import { formatSpread, measureSpread } from "./statistics.ts";

/** One pull by one checkout. */
interface Sample {
  ms: number;
  /** User and system time of the process and its children. */
  cpuMs: number;
  peakRssBytes: number;
  /** Of layers. */
  fetchedBytes: number;
}

/** One case of one image: in every round a sample of each checkout, this one first. */
export interface Comparison {
  image: string;
  name: CaseName;
  rounds: Sample[][];
}

export interface ComparedAgent {
  name: string;
  agent: BenchAgent;
}

/** No case may take longer than this, as a ratio of medians within the rounds. */
const TIME_MARK = 1.05;

/** This checkout's agent and those of `directories`, each bundled by its own build code with its own flags. */
export async function bundleCheckouts(
  folder: string,
  directories: readonly string[],
): Promise<ComparedAgent[]> {
  const agents: ComparedAgent[] = [{ name: "HEAD", agent: await bundleBenchAgent(join(folder, "HEAD")) }];
  for (const [index, directory] of directories.entries()) {
    const url = pathToFileURL(join(resolve(directory), "test/bench/case-agent.ts")).href;
    const other = (await import(url)) as { bundleBenchAgent: typeof bundleBenchAgent };
    agents.push({
      name: basename(resolve(directory)),
      agent: await other.bundleBenchAgent(join(folder, String(index))),
    });
  }
  return agents;
}

export interface CompareOptions {
  image: string;
  goods: BenchGoods;
  tools: ToolsRoot;
  agents: readonly ComparedAgent[];
  cases: readonly CaseName[];
  runs: number;
  workFolder: string;
  log: (line: string) => void;
  signal: AbortSignal;
}

export async function compareImage(options: CompareOptions): Promise<Comparison[]> {
  const { image, goods, tools, agents, cases, runs, workFolder, log, signal } = options;
  await mkdir(workFolder, { recursive: true });
  const registry = await startPlainRegistry(tools, { storage: goods.storage, folder: workFolder, signal });
  const disk = await createScratchDisk(join(workFolder, "scratch"));
  const comparisons = cases.map((name): Comparison => ({ image, name, rounds: [] }));
  const pull = async ({ agent }: ComparedAgent, reference: string, storeDir: string): Promise<Sample> => {
    await runProcess(["sync"], { signal });
    const cpuBefore = readChildrenCpuMs();
    const order = { reference: `127.0.0.1:${registry.port}/${reference}`, storeDir, driver: "auto" } as const;
    const { ms, peakRssBytes, report } = await agent.pull(order, { signal });
    const cpuMs = readChildrenCpuMs() - cpuBefore;
    return { ms, cpuMs, peakRssBytes, fetchedBytes: report.bytesFetched };
  };
  try {
    await warmStorage(goods);
    for (let run = 0; run < runs; run++) {
      for (const comparison of comparisons) comparison.rounds.push([]);
      const note = (name: CaseName, index: number, sample: Sample) => {
        comparisons.find((each) => each.name === name)!.rounds[run]![index] = sample;
        log(`${image}, run ${run + 1}, ${name}: ${agents[index]!.name}: ${describe(sample)}`);
      };
      for (const format of FORMATS) {
        const isUpdated = format === "zstd:chunked" && cases.includes("update");
        if (!cases.includes(format) && !isUpdated) continue;
        // They take turns to be first.
        for (let turn = 0; turn < agents.length; turn++) {
          const index = (turn + run) % agents.length;
          const storeDir = await disk.mountFresh();
          const cold = await pull(agents[index]!, goods.first[format].name, storeDir);
          if (cases.includes(format)) note(format, index, cold);
          if (isUpdated) note("update", index, await pull(agents[index]!, goods.second.name, storeDir));
        }
      }
    }
  } finally {
    await disk.unmount();
    await registry.stop();
    await removeTree(workFolder);
  }
  return comparisons;
}

function describe(sample: Sample): string {
  return Object.entries(FIGURES)
    .map(([figure, read]) => `${figure} ${read(sample).toFixed(2)}`)
    .join(", ");
}

/** Of all ended children and their children; the kernel counts in ticks of 10 ms (proc(5)). */
function readChildrenCpuMs(): number {
  const stat = readFileSync("/proc/self/stat", "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

const FIGURES = {
  "time, s": ({ ms }: Sample) => ms / 1000,
  "CPU, s": ({ cpuMs }: Sample) => cpuMs / 1000,
  "peak memory, MB": ({ peakRssBytes }: Sample) => peakRssBytes / 1e6,
  "fetched, MB": ({ fetchedBytes }: Sample) => fetchedBytes / 1e6,
} as const;

/** A table in Markdown; for other checkouts also HEAD's ratio to them: below 1 HEAD is better. */
export function formatComparison(
  comparisons: readonly Comparison[],
  agents: readonly ComparedAgent[],
): { table: string; missed: string[] } {
  const missed: string[] = [];
  const rows: string[][] = [];
  for (const { image, name, rounds } of comparisons) {
    for (const [figure, read] of Object.entries(FIGURES)) {
      const cells = agents.map(({ name: agentName }, index) => {
        const text = formatSpread(measureSpread(rounds.map((samples) => read(samples[index]!))));
        if (index === 0) return text;
        const ratio = measureSpread(rounds.map((samples) => read(samples[0]!) / read(samples[index]!)));
        if (figure === "time, s" && ratio.median > TIME_MARK)
          missed.push(`${image}, ${name}: ${ratio.median.toFixed(2)} of the time of ${agentName}`);
        return `${text}: **${formatSpread(ratio)}**`;
      });
      rows.push([image, name, figure, ...cells]);
    }
  }
  const head = ["image", "pull", "figure", ...agents.map(({ name }) => name)];
  const table = [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  return { table, missed };
}
