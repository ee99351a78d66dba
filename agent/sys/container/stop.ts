/**
 * Ends a container in steps: the signal it knows, its grace, then SIGKILL for everything of it.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { AgentError } from "../../errors.ts";
import { CONTAINER_KILL_WAIT_MS } from "../limits.ts";
import type { SysLog } from "../sys-log.ts";
import { sendSignal, type TestCgroup } from "./cgroup.ts";

export interface StopPlan {
  signal: number;
  /** File with the number of the container's first process, which alone is told; absent: every process is. */
  pidPath?: string;
  graceMs: number;
}

/** Settles when the container has ended; throws RUN_CONTAINER_STUCK when even the kill did not end it. */
export async function stopInSteps(
  { signal, pidPath, graceMs }: StopPlan,
  ended: Promise<unknown>,
  { log, cgroup }: { log: SysLog; cgroup: TestCgroup },
): Promise<void> {
  log.warn(`run: the test is told to end, and killed in ${graceMs / 1000} s`);
  const pid = pidPath === undefined ? undefined : readPid(pidPath);
  if (pid === undefined) cgroup.signalAll(signal);
  else sendSignal(pid, signal);
  if (await settlesWithin(ended, graceMs)) return;
  log.warn("run: the test did not end, everything of it is killed now");
  cgroup.kill();
  if (await settlesWithin(ended, CONTAINER_KILL_WAIT_MS)) return;
  throw new AgentError(
    "RUN_CONTAINER_STUCK",
    `Cannot end the test: its processes are still there ${CONTAINER_KILL_WAIT_MS / 1000} s after SIGKILL`,
  );
}

/** Nothing while the runtime still prepares. */
function readPid(path: string): number | undefined {
  try {
    return Number(readFileSync(path, "utf8")) || undefined;
  } catch {
    return undefined;
  }
}

async function settlesWithin(work: Promise<unknown>, limitMs: number): Promise<boolean> {
  const timeout = new AbortController();
  const settled = work.then(
    () => true,
    () => true,
  );
  const expired = sleep(limitMs, false, { signal: timeout.signal }).catch(() => false);
  const result = await Promise.race([settled, expired]);
  timeout.abort();
  return result;
}
