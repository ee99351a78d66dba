/**
 * Stops a container: its stop signal, a grace period, then SIGKILL for all its processes.
 */
import { readFileSync } from "node:fs";
import { AgentError } from "../../errors.ts";
import { CONTAINER_KILL_WAIT_MS } from "../limits.ts";
import type { SysLog } from "../sys-log.ts";
import { settlesWithin } from "../waits.ts";
import { sendSignal, type TestCgroup } from "./cgroup.ts";

export interface StopPlan {
  signal: number;
  /** File with the PID of the first process, which alone gets the signal; absent: all processes get it. */
  pidPath?: string;
  graceMs: number;
}

/** Throws RUN_CONTAINER_STUCK when the container survives the kill. */
export async function stopInSteps(
  { signal, pidPath, graceMs }: StopPlan,
  ended: Promise<unknown>,
  { log, cgroup }: { log: SysLog; cgroup: TestCgroup },
): Promise<void> {
  log.warn(`run: stopping the test, it is killed in ${graceMs / 1000} s`);
  const pid = pidPath === undefined ? undefined : readPid(pidPath);
  if (pid === undefined) cgroup.signalAll(signal);
  else sendSignal(pid, signal);
  if (await settlesWithin(ended, graceMs)) return;
  log.warn("run: the test did not stop, killing all its processes");
  cgroup.kill();
  if (await settlesWithin(ended, CONTAINER_KILL_WAIT_MS)) return;
  throw new AgentError(
    "RUN_CONTAINER_STUCK",
    `Cannot end the test: its processes are still there ${CONTAINER_KILL_WAIT_MS / 1000} s after SIGKILL`,
  );
}

/** undefined before the runtime has started the process. */
function readPid(path: string): number | undefined {
  try {
    return Number(readFileSync(path, "utf8")) || undefined;
  } catch {
    return undefined;
  }
}
