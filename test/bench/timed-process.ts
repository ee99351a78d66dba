/**
 * Runs one program of the benchmark to its end; measures its time, and its memory with that of its descendants.
 */
import { startOwnedProcess } from "../../qemu/owned-process.ts";
import { watchMemory } from "./process-memory.ts";

export interface TimedRun {
  ms: number;
  peakRssBytes: number;
  output: string;
}

const LAST_WORDS_BYTES = 4096;

export async function runTimed(
  name: string,
  words: readonly string[],
  { env, signal }: { env?: NodeJS.ProcessEnv; signal?: AbortSignal } = {},
): Promise<TimedRun> {
  signal?.throwIfAborted();
  const startedMs = performance.now();
  const owned = startOwnedProcess(words, { env });
  const kill = () => owned.kill();
  signal?.addEventListener("abort", kill);
  const memory = watchMemory(owned.child.pid!);
  let output = "";
  let lastWords = "";
  owned.child.stdout!.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  owned.child.stderr!.on("data", (chunk: Buffer) => {
    lastWords = (lastWords + chunk.toString()).slice(-LAST_WORDS_BYTES);
  });
  let endedMs = 0;
  owned.child.on("exit", () => {
    endedMs = performance.now();
  });
  try {
    const end = await owned.ended;
    signal?.throwIfAborted();
    if (end.exitCode === 0) return { ms: endedMs - startedMs, peakRssBytes: memory.stop(), output };
    throw new Error(`Cannot run ${name}: it ended with ${end.signal ?? end.exitCode}: ${lastWords.trim()}`);
  } finally {
    memory.stop();
    signal?.removeEventListener("abort", kill);
  }
}
