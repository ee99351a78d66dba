/**
 * Runs a program and returns its output. Any exit code but 0 is an error with the last lines of stderr.
 * The program is killed when this process dies or the signal aborts.
 */
import { startOwnedProcess } from "./owned-process.ts";

export interface RunOptions {
  /** Name for messages; default: the program. */
  name?: string;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
}

const LAST_WORDS_BYTES = 4096;

/** Returns what the program wrote to stdout. */
export async function runProcess(
  words: readonly string[],
  { name = words[0] ?? "", signal, ...options }: RunOptions = {},
): Promise<string> {
  signal?.throwIfAborted();
  const owned = startOwnedProcess(words, options);
  const kill = () => owned.kill();
  signal?.addEventListener("abort", kill);
  const output: Buffer[] = [];
  let lastWords = "";
  owned.child.stdout!.on("data", (chunk: Buffer) => output.push(chunk));
  owned.child.stderr!.on("data", (chunk: Buffer) => {
    lastWords = (lastWords + chunk.toString()).slice(-LAST_WORDS_BYTES);
  });
  try {
    const end = await owned.ended;
    signal?.throwIfAborted();
    if (end.exitCode === 0) return Buffer.concat(output).toString();
    throw new Error(`Cannot run "${name}": it ended with ${end.signal ?? end.exitCode}: ${lastWords.trim()}`);
  } finally {
    signal?.removeEventListener("abort", kill);
  }
}
