/**
 * A child process that cannot outlive this one: it has its own process group, which is killed as a whole, by the kernel
 * (PR_SET_PDEATHSIG) if this process is killed. Ctrl-C reaches only this process.
 */
import { type ChildProcess, spawn } from "node:child_process";

export interface OwnedProcess {
  child: ChildProcess;
  /** Resolves when it has ended; rejects only if the program could not be started. */
  ended: Promise<ProcessEnd>;
  /** Kills the group; does nothing if it has ended. */
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
  /** Gives it a pipe as stdin instead of /dev/null. */
  takesInput?: boolean;
}

/** Starts `words` with stdout and stderr as pipes. */
export function startOwnedProcess(
  words: readonly string[],
  { takesInput = false, ...options }: SpawnOptions = {},
): OwnedProcess {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...words], {
    ...options,
    // A new session: the group id is the child's pid, so that one kill reaches its children too.
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
