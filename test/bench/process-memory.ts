/**
 * Samples the memory of a process and its descendants some forty times a second until it ends.
 */
import { readdirSync, readFileSync } from "node:fs";

const INTERVAL_MS = 25;

export interface MemoryWatch {
  /** The largest sum seen, in bytes; at least the high-water mark of the largest process. */
  stop(): number;
}

export function watchMemory(pid: number): MemoryWatch {
  let peakBytes = 0;
  const look = () => {
    let sumBytes = 0;
    let highestBytes = 0;
    for (const each of listTree(pid)) {
      const { rssBytes, peakRssBytes } = readMemory(each);
      sumBytes += rssBytes;
      highestBytes = Math.max(highestBytes, peakRssBytes);
    }
    peakBytes = Math.max(peakBytes, sumBytes, highestBytes);
  };
  const timer = setInterval(look, INTERVAL_MS);
  look();
  return {
    stop() {
      clearInterval(timer);
      return peakBytes;
    },
  };
}

function* listTree(pid: number): Generator<number> {
  yield pid;
  for (const task of orNothing(() => readdirSync(`/proc/${pid}/task`)) ?? []) {
    const children = orNothing(() => readFileSync(`/proc/${pid}/task/${task}/children`, "utf8")) ?? "";
    for (const child of children.split(" ")) if (child !== "") yield* listTree(Number(child));
  }
}

function readMemory(pid: number): { rssBytes: number; peakRssBytes: number } {
  const status = orNothing(() => readFileSync(`/proc/${pid}/status`, "utf8")) ?? "";
  const field = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? 0) * 1024;
  return { rssBytes: field("VmRSS"), peakRssBytes: field("VmHWM") };
}

/** A process may end between two samples. */
function orNothing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw error;
  }
}
