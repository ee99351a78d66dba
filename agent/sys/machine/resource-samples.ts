/**
 * Samples the machine's use of memory and CPU (proc(5): /proc/meminfo, /proc/stat). Every few hundred samples the interval doubles,
 * which limits the samples of a long job.
 */
import { readFileSync } from "node:fs";
import { machine, release, totalmem } from "node:os";
import type { RuntimeInfo } from "../../wire/b2c-console.ts";
import { SAMPLE_INTERVAL_MS, SAMPLES_PER_PACE } from "../limits.ts";
import { readdirIfThere, readIfThere } from "../read-if-there.ts";

export interface ResourceSample {
  /** All memory but MemAvailable. */
  memoryUsedBytes: number;
  memoryTotalBytes: number;
  /** Of all CPUs since the previous sample, 0 to 100. */
  cpuPercent: number;
}

export interface SamplingOptions {
  onSample: (sample: ResourceSample) => void;
  procPath?: string;
  intervalMs?: number;
  samplesPerPace?: number;
}

/** Takes the first sample at once. */
export function startSampling(options: SamplingOptions): { stop(): void } {
  const { onSample, procPath = "/proc", samplesPerPace = SAMPLES_PER_PACE } = options;
  let intervalMs = options.intervalMs ?? SAMPLE_INTERVAL_MS;
  let before = { busy: 0, all: 0 };
  let count = 0;
  let timer: NodeJS.Timeout | undefined;
  const take = () => {
    const now = parseCpuTimes(readFileSync(`${procPath}/stat`, "utf8"));
    const cpuPercent = percentOf(now.busy - before.busy, now.all - before.all);
    before = now;
    onSample({ ...parseMemory(readFileSync(`${procPath}/meminfo`, "utf8")), cpuPercent });
    count++;
    if (count % samplesPerPace === 0) intervalMs *= 2;
    timer = setTimeout(take, intervalMs).unref();
  };
  take();
  return { stop: () => clearTimeout(timer) };
}

function percentOf(part: number, whole: number): number {
  return whole > 0 ? Math.round((part * 1000) / whole) / 10 : 0;
}

/** In ticks: user, nice, system, idle, iowait, irq, softirq, steal. */
function parseCpuTimes(stat: string): { busy: number; all: number } {
  const times = (/^cpu +(.*)$/m.exec(stat)?.[1] ?? "").split(" ").slice(0, 8).map(Number);
  const all = times.reduce((sum, ticks) => sum + ticks, 0);
  const [, , , idle = 0, waiting = 0] = times;
  return { busy: all - idle - waiting, all };
}

function parseMemory(meminfo: string): Pick<ResourceSample, "memoryUsedBytes" | "memoryTotalBytes"> {
  const read = (name: string) =>
    Number(new RegExp(`^${name}: +(\\d+) kB$`, "m").exec(meminfo)?.[1] ?? 0) * 1024;
  const memoryTotalBytes = read("MemTotal");
  return { memoryUsedBytes: memoryTotalBytes - read("MemAvailable"), memoryTotalBytes };
}

const SECTOR_BYTES = 512;

export function readRuntimeInfo(
  agentVersion: string,
  { procPath = "/proc", sysfsPath = "/sys" } = {},
): RuntimeInfo {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(readIfThere(`${procPath}/cpuinfo`))?.[1];
  return {
    linuxVersion: release(),
    agentVersion,
    architecture: machine(),
    cpu: cpu ?? readBoardModel(sysfsPath),
    ramBytes: totalmem(),
    disks: listDisks(`${sysfsPath}/block`),
  };
}

/** Kernels for Arm name the board, not the CPU. */
function readBoardModel(sysfsPath: string): string {
  return readIfThere(`${sysfsPath}/firmware/devicetree/base/model`).replace(/\0.*$/, "");
}

/** Whole disks; not RAM disks and unused loop devices. */
function listDisks(path: string): RuntimeInfo["disks"] {
  return readdirIfThere(path)
    .filter((name) => !/^(ram|zram)/.test(name))
    .map((name) => ({ name, sizeBytes: Number(readIfThere(`${path}/${name}/size`)) * SECTOR_BYTES }))
    .filter(({ sizeBytes }) => sizeBytes > 0);
}
