/**
 * The agent's code as one process (pull-agent.ts), bundled and started with the flags of the DUT.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { hostArchitecture } from "../../initrd/architecture.ts";
import { bundleAgent } from "../../initrd/bundle.ts";
import { compileNatives } from "../../initrd/natives.ts";
import type { PullOrder, PullReport } from "./pull-agent.ts";
import { runTimed, type TimedRun } from "./timed-process.ts";

export interface BenchAgent {
  pull(order: PullOrder, options?: AgentOptions): Promise<TimedRun & { report: PullReport }>;
}

export interface AgentOptions {
  /** Puts V8's profiles of all threads there. */
  profileFolder?: string;
  signal?: AbortSignal;
}

/** As in initrd/files/supervise-agent. */
const NODE_FLAGS = [
  "--max-semi-space-size=4",
  "--expose-gc",
  "--initial-heap-size=128",
  "--v8-pool-size=1",
  "--invocation-count-for-turbofan=20000",
];
/** A mount namespace: its mounts end with the process. */
const APART = ["unshare", "--mount", "--propagation", "private", "--"];

/** Bundles the agent's code as it is now into `folder`. */
export async function bundleBenchAgent(folder: string): Promise<BenchAgent> {
  await mkdir(folder, { recursive: true });
  const architecture = hostArchitecture();
  const { files } = await bundleAgent(architecture, await compileNatives(architecture), {
    version: "bench",
    entries: {
      "pull-agent": "test/bench/pull-agent.ts",
      "unpack-worker": "agent/root/unpack/unpack-worker.ts",
    },
  });
  // The bundle is CommonJS, unlike the project.
  await writeFile(join(folder, "package.json"), '{"type": "commonjs"}');
  for (const { path, content } of files) {
    if (content.kind === "bytes") await writeFile(join(folder, basename(path)), content.bytes);
  }
  return {
    async pull(order, { profileFolder, signal } = {}) {
      const flags = profileFolder ? ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`] : [];
      const script = join(folder, "pull-agent.js");
      const words = [...APART, process.execPath, ...NODE_FLAGS, ...flags, script, JSON.stringify(order)];
      const env = { ...process.env, MALLOC_ARENA_MAX: "2", MALLOC_MMAP_THRESHOLD_: "131072" };
      const run = await runTimed("the agent", words, signal ? { env, signal } : { env });
      const report = JSON.parse(run.output) as PullReport;
      return { ...run, peakRssBytes: Math.max(run.peakRssBytes, report.peakRssBytes), report };
    },
  };
}
