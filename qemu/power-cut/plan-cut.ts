/**
 * Plans the content of a disk after a power cut. Killing QEMU is not enough, because the host keeps every written byte.
 * A real disk keeps all writes before the last completed flush, and any part of the later ones, down to single sectors.
 * So one recorded run yields a disk for each point: all writes up to the last flush, and a random part of the rest.
 */
import type { LogEntry } from "./write-log.ts";

export interface DiskWrite {
  offsetBytes: number;
  bytes: Buffer;
}

export interface CutPlan {
  writes: DiskWrite[];
  /** Writes after the last flush: how many were lost, torn, and kept. */
  lost: number;
  torn: number;
  kept: number;
}

/** The unit that a disk writes atomically. */
const SECTOR_BYTES = 512;

/** Plans a cut after `entryCount` entries. `random` returns numbers in [0, 1). */
export function planCut(entries: readonly LogEntry[], entryCount: number, random: () => number): CutPlan {
  const seen = entries.slice(0, entryCount);
  const lastFlush = seen.findLastIndex(({ isFlush }) => isFlush);
  const plan: CutPlan = { writes: [], lost: 0, torn: 0, kept: 0 };
  for (const [index, { offsetBytes, bytes, isForced }] of seen.entries()) {
    if (bytes.length === 0) continue;
    if (index < lastFlush) {
      plan.writes.push({ offsetBytes, bytes });
      continue;
    }
    const fate = isForced ? "kept" : (["lost", "torn", "kept"] as const)[Math.floor(random() * 3)]!;
    plan[fate] += 1;
    if (fate === "kept") plan.writes.push({ offsetBytes, bytes });
    if (fate === "torn") plan.writes.push(...tear({ offsetBytes, bytes }, random));
  }
  return plan;
}

function tear({ offsetBytes, bytes }: DiskWrite, random: () => number): DiskWrite[] {
  const pieces: DiskWrite[] = [];
  for (let at = 0; at < bytes.length; at += SECTOR_BYTES) {
    if (random() < 0.5)
      pieces.push({ offsetBytes: offsetBytes + at, bytes: bytes.subarray(at, at + SECTOR_BYTES) });
  }
  return pieces;
}

/** Random numbers in [0, 1), reproducible by the seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
