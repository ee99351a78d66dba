/**
 * The cgroup that every process of a container is in, killed as a whole; all containers are in one that is bounded in
 * memory, so that the agent survives them together.
 * Kernel Documentation/admin-guide/cgroup-v2.rst. A kernel without the memory controller still runs the test, unbounded.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MEMORY_RESERVE_BYTES } from "../../limits.ts";
import type { SysLog } from "../sys-log.ts";

export interface TestCgroup {
  /** For the runtime, relative to the mount: a child of ours, so that our counters outlive it. */
  containerPath: string;
  /** Sends a signal to every process in it; returns how many there were. */
  signalAll(signal: number): number;
  /** Kills everything in it at once, forks in flight included. */
  kill(): void;
  isEmpty(): boolean;
  /** Processes the kernel killed because the limit was reached. */
  readOomKills(): number;
  remove(): void;
}

/** It stays: the next container's limit counts what this one's neighbours hold. */
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
    // 0 is a process that our PID namespace does not see: kill(0) would be ourselves.
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

/** Anew for every container: the store in RAM has grown since the last one. */
function limitMemory(mountPath: string, log: SysLog): void {
  const path = join(mountPath, PARENT);
  try {
    writeFileSync(join(mountPath, "cgroup.subtree_control"), "+memory");
    // For the counters of each container.
    writeFileSync(join(path, "cgroup.subtree_control"), "+memory");
    const limitBytes = planMemoryLimit(readAvailableBytes() + readHeldBytes(path));
    writeFileSync(join(path, "memory.max"), String(limitBytes));
    log.info(`run: the test may take ${(limitBytes / 1e6).toFixed(0)} MB of memory`);
  } catch (error) {
    log.warn(
      `run: the test's memory is not bounded, this kernel has no memory controller: ${(error as Error).message}`,
    );
  }
}

/** What containers that run already hold and the kernel cannot take back. */
function readHeldBytes(path: string): number {
  return readLines(join(path, "memory.stat"))
    .map((line) => line.split(" "))
    .filter(([name]) => name === "anon" || name === "shmem")
    .reduce((sum, [, bytes]) => sum + Number(bytes), 0);
}

/** Of what is available, all but the agent's reserve, but never less than half: a small board's test must run too. */
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
    if (code !== "ENOENT") log.warn(`run: cgroup "${directory}" stays: ${code}`);
  }
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line !== "");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENODEV") return []; // a cgroup that has just gone
    throw error;
  }
}

/** To a process that may have ended by now. */
export function sendSignal(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
