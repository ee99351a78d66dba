/**
 * A process that cannot outlive this one: a process group of its own, killed as a whole, and by the kernel
 * (PR_SET_PDEATHSIG) when we are killed ourselves. Ctrl-C reaches us alone; we decide what ends.
 */
import { type ChildProcess, spawn } from "node:child_process";

export interface OwnedProcess {
  child: ChildProcess;
  /** How it ended; rejects only when the program could not be started. */
  ended: Promise<ProcessEnd>;
  /** Ends the whole group at once; harmless when it is gone. */
  kill(): void;
}

export interface ProcessEnd {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
}

const alive = new Set<OwnedProcess>();

// Whatever way we leave (an uncaught error too), nothing of ours stays behind.
process.on("exit", () => {
  for (const owned of alive) owned.kill();
});

export interface SpawnOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** A pipe as its stdin; else it has nothing to read. */
  takesInput?: boolean;
}

/** Starts `words` with stdout and stderr as pipes. */
export function startOwnedProcess(
  words: readonly string[],
  { takesInput = false, ...options }: SpawnOptions = {},
): OwnedProcess {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...words], {
    ...options,
    // A session of its own: the group's id is the child's, so one kill takes its children as well.
    detached: true,
    stdio: [takesInput ? "pipe" : "ignore", "pipe", "pipe"],
  });
  const owned: OwnedProcess = {
    child,
    ended: new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (exitCode, signal) => resolve({ exitCode, signal }));
    }),
    kill() {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    },
  };
  alive.add(owned);
  const forget = () => alive.delete(owned);
  owned.ended.then(forget, forget);
  return owned;
}
