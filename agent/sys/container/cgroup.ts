/**
 * One cgroup per container, to kill all its processes at once, below a common one with a memory limit that protects the agent.
 * Kernel Documentation/admin-guide/cgroup-v2.rst. Without the memory controller the test runs unlimited.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MEMORY_RESERVE_BYTES } from "../../limits.ts";
import type { SysLog } from "../sys-log.ts";

export interface TestCgroup {
  /** For the runtime, relative to the mount: a child of ours, because the runtime removes it with its counters. */
  containerPath: string;
  /** Signals every process; returns their number. */
  signalAll(signal: number): number;
  /** Kills all processes at once, including new forks. */
  kill(): void;
  isEmpty(): boolean;
  /** Processes that the kernel killed at the limit. */
  readOomKills(): number;
  remove(): void;
}

/** Kept between containers. */
const PARENT = "dutboot";

export function createTestCgroup(
  name: string,
  { log, mountPath = "/sys/fs/cgroup" }: { log: SysLog; mountPath?: string },
): TestCgroup {
  const path = join(mountPath, PARENT, name);
  mkdirSync(path, { recursive: true });
  limitMemory(mountPath, log);

  const listPids = (directory: string): number[] => [
    ...readLines(join(directory, "cgroup.procs")).map(Number),
    ...listChildren(directory).flatMap((child) => listPids(child)),
  ];
  const signalAll = (signal: number) => {
    // 0 is a process outside our PID namespace; kill(0) would signal ourselves.
    const pids = listPids(path).filter((pid) => pid > 0);
    for (const pid of pids) sendSignal(pid, signal);
    return pids.length;
  };
  return {
    containerPath: `/${PARENT}/${name}/container`,
    signalAll,
    kill() {
      const killFile = join(path, "cgroup.kill"); // Linux 5.14
      if (existsSync(killFile)) writeFileSync(killFile, "1");
      else signalAll(SIGKILL);
    },
    isEmpty: () => listPids(path).length === 0,
    readOomKills() {
      const count = readLines(join(path, "memory.events")).find((line) => line.startsWith("oom_kill "));
      return Number(count?.split(" ")[1] ?? 0);
    },
    remove: () => removeTree(path, log),
  };
}

const SIGKILL = 9;

/** Set again for every container, because a store in RAM has grown since. */
function limitMemory(mountPath: string, log: SysLog): void {
  const path = join(mountPath, PARENT);
  try {
    writeFileSync(join(mountPath, "cgroup.subtree_control"), "+memory");
    // For the counters of each container.
    writeFileSync(join(path, "cgroup.subtree_control"), "+memory");
    const limitBytes = planMemoryLimit(readAvailableBytes() + readHeldBytes(path));
    writeFileSync(join(path, "memory.max"), String(limitBytes));
    log.info(`run: the test may use ${(limitBytes / 1e6).toFixed(0)} MB of memory`);
  } catch (error) {
    log.warn(
      `run: no memory limit for the test, this kernel has no memory controller: ${(error as Error).message}`,
    );
  }
}

/** Memory of running containers that the kernel cannot reclaim. */
function readHeldBytes(path: string): number {
  return readLines(join(path, "memory.stat"))
    .map((line) => line.split(" "))
    .filter(([name]) => name === "anon" || name === "shmem")
    .reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}

/** The available memory minus the agent's reserve, but at least half, so that tests run on small boards. */
export function planMemoryLimit(availableBytes: number): number {
  return Math.floor(Math.max(availableBytes - MEMORY_RESERVE_BYTES, availableBytes / 2));
}

function readAvailableBytes(): number {
  const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
  return Number(kibibytes ?? 0) * 1024;
}

function listChildren(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(directory, entry.name));
}

function removeTree(directory: string, log: SysLog): void {
  for (const child of listChildren(directory)) removeTree(child, log);
  try {
    rmdirSync(directory);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT") log.warn(`run: cannot remove cgroup "${directory}": ${code}`);
  }
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line !== "");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENODEV") return []; // the cgroup has just been removed
    throw error;
  }
}

/** The process may have ended already. */
export function sendSignal(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
