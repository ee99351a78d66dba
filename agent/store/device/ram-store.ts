/**
 * The store in RAM, for machines without a cache device. It is a tmpfs, because the initramfs is a ramfs without xattrs
 * when the command line has `root=`.
 */
import { mkdirSync, readFileSync, statfsSync } from "node:fs";
import { mount } from "../../kernel/mount.ts";
import { MEMORY_RESERVE_BYTES } from "../../limits.ts";
import { RAM_STORE_SHARE } from "../limits.ts";

export interface RamStore {
  path: string;
  sizeBytes: number;
}

export function mountRamStore(path: string): RamStore {
  const sizeBytes = planRamStore(readMemoryInfo("MemTotal"), readMemoryInfo("MemAvailable"));
  mkdirSync(path, { recursive: true });
  mount({ source: "dutboot-store", target: path, type: "tmpfs", data: `size=${sizeBytes},mode=0755` });
  return { path, sizeBytes };
}

/**
 * A share of all memory, but no more than is available besides the agent's: with more, the kernel would kill the agent
 * before the tmpfs is full.
 */
export function planRamStore(totalBytes: number, availableBytes: number): number {
  const spareBytes = Math.max(availableBytes - MEMORY_RESERVE_BYTES, availableBytes / 2);
  return Math.floor(Math.min(totalBytes * RAM_STORE_SHARE, spareBytes));
}

/** Free space below `path`; for a tmpfs, at most the available memory. */
export function readFreeBytes(path: string): number {
  const { bavail, bsize, type } = statfsSync(path);
  const freeBytes = bavail * bsize;
  return type === TMPFS_MAGIC ? Math.min(freeBytes, readMemoryInfo("MemAvailable")) : freeBytes;
}

const TMPFS_MAGIC = 0x01021994;

function readMemoryInfo(field: "MemTotal" | "MemAvailable"): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(readFileSync("/proc/meminfo", "utf8"));
  if (!match) throw new Error(`Cannot find "${field}" in /proc/meminfo`);
  return Number(match[1]) * 1024;
}
