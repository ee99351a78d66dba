/**
 * What is on a disk after its power was cut: killing QEMU would be too kind, since the host keeps every byte it wrote.
 * A real disk keeps what a flush has answered; of what came after, it may have any part, down to single sectors of a write.
 * So one recorded run gives a disk for every point of it: all writes up to the last flush, and a random part of the rest.
 */
import type { LogEntry } from "./write-log.ts";

export interface DiskWrite {
  offsetBytes: number;
  bytes: Buffer;
}

export interface CutPlan {
  writes: DiskWrite[];
  /** Writes that no flush had covered: how many were lost whole, torn, and kept. */
  lost: number;
  torn: number;
  kept: number;
}

/** What disks write at once, or not at all. */
const SECTOR_BYTES = 512;

/** The cut comes after `entryCount` entries; `random` gives numbers from 0 up to 1. */
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

/** Numbers from 0 up to 1, the same for the same seed: a cut that showed a fault can be made again (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
