/** The state after a power cut: all flushed writes, any part of the other writes, and no later write. */
import { describe, expect, it } from "vitest";
import { createRandom, planCut } from "../../../qemu/power-cut/plan-cut.ts";
import { type LogEntry, parseWriteLog } from "../../../qemu/power-cut/write-log.ts";

const SECTOR = 512;

interface Written {
  sector: number;
  fill?: string;
  sectors?: number;
  flags?: number;
}

/** A log as blklogwrites writes it: a superblock, then a header sector and the data for each entry. */
function buildLog(entries: readonly Written[]): Buffer {
  const superblock = Buffer.alloc(SECTOR);
  superblock.writeBigUInt64LE(0x6a736677736872n, 0);
  superblock.writeBigUInt64LE(1n, 8);
  superblock.writeBigUInt64LE(BigInt(entries.length), 16);
  superblock.writeUInt32LE(SECTOR, 24);
  const parts = entries.flatMap(({ sector, fill, sectors = 1, flags = 0 }) => {
    const head = Buffer.alloc(SECTOR);
    head.writeBigUInt64LE(BigInt(sector), 0);
    head.writeBigUInt64LE(BigInt(fill === undefined && flags === 1 ? 0 : sectors), 8);
    head.writeBigUInt64LE(BigInt(flags), 16);
    return fill === undefined ? [head] : [head, Buffer.alloc(sectors * SECTOR, fill)];
  });
  return Buffer.concat([superblock, ...parts]);
}

const FLUSH: Written = { sector: 0, flags: 1 };
const LOG = buildLog([
  { sector: 1, fill: "a" },
  { sector: 1, fill: "b" },
  FLUSH,
  { sector: 2, fill: "c", sectors: 4 },
  { sector: 9, fill: "d", flags: 2 },
  { sector: 20, sectors: 8, flags: 4 },
  FLUSH,
  { sector: 3, fill: "e" },
]);

const show = (entries: readonly Pick<LogEntry, "offsetBytes" | "bytes">[]) =>
  entries.map(({ offsetBytes, bytes }) => `${offsetBytes / SECTOR}:${bytes.toString("latin1", 0, 1)}`);

describe("a log of writes", () => {
  it("is read entry by entry", () => {
    const entries = parseWriteLog(LOG);
    expect(show(entries)).toEqual(["1:a", "1:b", "0:", "2:c", "9:d", "20:", "0:", "3:e"]);
    expect(entries.map(({ isFlush }) => isFlush)).toEqual([
      false,
      false,
      true,
      false,
      false,
      false,
      true,
      false,
    ]);
  });

  it.each([
    { name: "nothing", log: Buffer.alloc(0) },
    { name: "no superblock", log: Buffer.alloc(SECTOR) },
    { name: "a cut entry", log: LOG.subarray(0, -1) },
    { name: "a missing entry", log: LOG.subarray(0, -2 * SECTOR) },
  ])("is refused when it is $name", ({ log }) => {
    expect(() => parseWriteLog(log)).toThrow(/Cannot read the write log/);
  });
});

describe("a power cut", () => {
  const entries = parseWriteLog(LOG);
  const plans = (entryCount: number) =>
    Array.from({ length: 200 }, (_, seed) => planCut(entries, entryCount, createRandom(seed)));

  it("keeps flushed writes, in order", () => {
    for (const { writes } of plans(3)) expect(show(writes)).toEqual(["1:a", "1:b"]);
    for (const { writes } of plans(7)) expect(show(writes)).toEqual(["1:a", "1:b", "2:c", "9:d"]);
  });

  it("loses, tears or keeps other writes", () => {
    const seen = plans(4).map((plan) => show(plan.writes).slice(2).join(" "));
    expect(seen).toContain("");
    expect(seen).toContain("2:c");
    expect(seen.some((text) => /^([2345]:c ?)+$/.test(text) && text !== "2:c")).toBe(true);
    for (const { lost, torn, kept } of plans(4)) expect(lost + torn + kept).toBe(1);
  });

  it("keeps a forced write and no later one", () => {
    for (const { writes } of plans(5)) {
      expect(show(writes)).toContain("9:d");
      expect(show(writes)).not.toContain("3:e");
    }
  });

  it("before the first write leaves the disk unchanged", () => {
    expect(planCut(entries, 0, createRandom(1)).writes).toEqual([]);
  });

  it("is the same for the same seed", () => {
    expect(planCut(entries, 5, createRandom(7))).toEqual(planCut(entries, 5, createRandom(7)));
  });
});
