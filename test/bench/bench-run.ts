/**
 * Runs all cases of one image. In each run every puller pulls once, and they take turns to be first.
 */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { removeTree } from "../../qemu/cache-entry.ts";
import { runProcess } from "../../qemu/run-process.ts";
import type { ToolsRoot } from "../../qemu/tools-root.ts";
import { type BenchGoods, FORMATS, type Format } from "./bench-goods.ts";
import type { BenchAgent } from "./case-agent.ts";
import { pullWithCurl } from "./case-curl.ts";
import { createPodmanStorage, pullWithPodman } from "./case-podman.ts";
import { type CountingProxy, startCountingProxy } from "./counting-proxy.ts";
import type { CaseResult, Marks, Measured, Round } from "./measurement.ts";
import { startPlainRegistry } from "./plain-registry.ts";
import { createScratchDisk, type ScratchDisk } from "./scratch-disk.ts";

export const CASES = [...FORMATS, "update"] as const;
export type CaseName = (typeof CASES)[number];

export interface BenchRunOptions {
  image: string;
  goods: BenchGoods;
  tools: ToolsRoot;
  agent: BenchAgent;
  cases: readonly CaseName[];
  runs: number;
  /** On the target disk. */
  workFolder: string;
  /** For V8's profiles of the agent. */
  profileFolder?: string;
  log: (line: string) => void;
  signal: AbortSignal;
}

const MEMORY_MARK_BYTES = 200e6;
const MARKS: Record<CaseName, Marks> = {
  gzip: { time: 0.7, memoryBytes: MEMORY_MARK_BYTES },
  zstd: { time: 0.5, memoryBytes: MEMORY_MARK_BYTES },
  "zstd:chunked": { memoryBytes: MEMORY_MARK_BYTES },
  update: { time: 0.5, bytes: 1, memoryBytes: MEMORY_MARK_BYTES },
};

export async function benchImage(options: BenchRunOptions): Promise<CaseResult[]> {
  const { image, goods, tools, cases, runs, workFolder, log, signal } = options;
  await mkdir(workFolder, { recursive: true });
  const registry = await startPlainRegistry(tools, { storage: goods.storage, folder: workFolder, signal });
  const proxy = await startCountingProxy(registry.port);
  const rounds = new Map<CaseName, Round[]>(cases.map((name) => [name, []]));
  const disks: ScratchDisk[] = [];
  try {
    for (const actor of ACTORS) disks.push(await createScratchDisk(join(workFolder, actor)));
    await warmStorage(goods);
    for (let run = 0; run < runs; run++) {
      for (const format of FORMATS) {
        const isWanted = cases.includes(format);
        // An update needs the first version.
        const hasUpdate = format === "zstd:chunked" && cases.includes("update");
        if (!isWanted && !hasUpdate) continue;
        const [podman = "", agent = "", curl = ""] = await Promise.all(
          disks.map((disk) => disk.mountFresh()),
        );
        const folders = { podman, agent, curl };
        const stage = { folders, port: registry.port, proxy, format, run, hasUpdate, isWanted };
        const { cold, update } = await runRound(options, stage);
        const note = (name: CaseName, round: Round) => {
          rounds.get(name)!.push(round);
          log(`${image}, run ${run + 1}: ${describe(name, round)}`);
        };
        if (isWanted) note(format, cold);
        if (update) note("update", update);
      }
    }
  } finally {
    for (const disk of disks) await disk.unmount();
    await proxy.stop();
    await registry.stop();
    await removeTree(workFolder);
  }
  return cases.map((name) => ({ image, name, rounds: rounds.get(name)!, marks: MARKS[name] }));
}

const ACTORS = ["podman", "agent", "curl"] as const;

interface Stage {
  folders: Record<(typeof ACTORS)[number], string>;
  port: number;
  proxy: CountingProxy;
  format: Format;
  run: number;
  hasUpdate: boolean;
  isWanted: boolean;
}

type Actor = "agent" | "podman";

async function runRound(
  { goods, tools, agent, profileFolder, signal }: BenchRunOptions,
  { folders, port, proxy, format, run, hasUpdate, isWanted }: Stage,
): Promise<{ cold: Round; update?: Round }> {
  const { name, layer } = goods.first[format];
  const storage = await createPodmanStorage(folders.podman, format === "zstd:chunked");
  const agentOptions = { signal, profileFolder };
  const pull: Record<Actor, (reference: string) => Promise<Measured>> = {
    podman: async (reference) => {
      const { ms, peakRssBytes } = await pullWithPodman(tools, storage, reference, { signal });
      return { ms, peakRssBytes };
    },
    agent: async (reference) => {
      const order = { reference, storeDir: folders.agent, driver: "auto" as const };
      const { ms, peakRssBytes, report } = await agent.pull(order, agentOptions);
      return { ms, peakRssBytes, phasesMs: report.phasesMs };
    },
  };
  const takeTurns = async (reference: string): Promise<Round> => {
    const order: Actor[] = run % 2 === 0 ? ["podman", "agent"] : ["agent", "podman"];
    const measured: Partial<Record<Actor, Measured>> = {};
    for (const actor of order) {
      await settle(signal);
      proxy.takeCounts();
      const result = await pull[actor](reference);
      const { fromServerBytes, toServerBytes } = proxy.takeCounts();
      const wireBytes = fromServerBytes + toServerBytes;
      measured[actor] = wireBytes > 0 ? { ...result, wireBytes } : result;
    }
    return measured as Round;
  };
  const cold = await takeTurns(`127.0.0.1:${port}/${name}`);
  if (isWanted) {
    await settle(signal);
    const blobUrl = `http://127.0.0.1:${port}/v2/${name.split(":")[0]}/blobs/${layer.digest}`;
    const compressor = format === "gzip" ? "gzip" : "zstd";
    const { ms, peakRssBytes } = await pullWithCurl(blobUrl, compressor, folders.curl, { signal });
    cold.curl = { ms, peakRssBytes };
  }
  if (!hasUpdate) return { cold };
  return { cold, update: await takeTurns(`127.0.0.1:${proxy.port}/${goods.second.name}`) };
}

/** The next pull must not wait for writes of this one. */
async function settle(signal: AbortSignal): Promise<void> {
  await runProcess(["sync"], { signal });
}

/** Then the registry reads from memory in all pulls. */
export async function warmStorage({ storage, first, second }: BenchGoods): Promise<void> {
  for (const { layer } of [...Object.values(first), second]) {
    const hex = layer.digest.split(":")[1]!;
    await readFile(join(storage, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data"));
  }
}

function describe(name: string, { agent, podman, curl }: Round): string {
  const seconds = (measured: Measured) => `${(measured.ms / 1000).toFixed(2)} s`;
  const parts = [`dutboot ${seconds(agent)}`, `podman ${seconds(podman)}`];
  if (curl) parts.push(`curl ${seconds(curl)}`);
  return `${name}: ${parts.join(", ")}; ratio ${(agent.ms / podman.ms).toFixed(2)}`;
}
