/** The builder's cache: filled once by concurrent builders, never seen incomplete, and cleared of unused entries. */
import { existsSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fillCached, pruneCache } from "../../../initrd/build-cache.ts";
import { makeFolder } from "./build.ts";

const before = process.env.DUTBOOT_CACHE;
let cache: string;

beforeEach(async () => {
  cache = await makeFolder();
  process.env.DUTBOOT_CACHE = cache;
});

afterEach(() => {
  rmSync(cache, { recursive: true, force: true });
  if (before === undefined) delete process.env.DUTBOOT_CACHE;
  else process.env.DUTBOOT_CACHE = before;
});

const ENTRY = { kind: "thing", key: { version: 1 } };

describe("the cache", () => {
  it("is filled once by concurrent builders", async () => {
    let fills = 0;
    const fill = async (folder: string) => {
      fills += 1;
      await sleep(50);
      writeFileSync(join(folder, "content"), "x");
    };
    const results = await Promise.all([1, 2, 3, 4].map(() => fillCached(ENTRY, fill)));
    expect(fills).toBe(1);
    expect(results.filter(({ reused }) => !reused)).toHaveLength(1);
    expect(new Set(results.map(({ path }) => path)).size).toBe(1);
  });

  it("keeps nothing of a failed fill and tries again", async () => {
    const fail = async (folder: string) => {
      writeFileSync(join(folder, "half"), "x");
      throw new Error("no space");
    };
    await expect(fillCached(ENTRY, fail)).rejects.toThrow("no space");
    expect(readdirSync(cache)).toEqual([]);
    const { path, reused } = await fillCached(ENTRY, async () => {});
    expect(reused).toBe(false);
    expect(readdirSync(path)).toEqual([]);
  });

  it("acquires the lock of a builder that was killed", async () => {
    const { path } = await fillCached(ENTRY, async () => {});
    rmSync(path, { recursive: true });
    const deadPid = 4_194_300; // above what this machine hands out to anything still running
    writeFileSync(`${path}.lock`, String(deadPid));
    expect((await fillCached(ENTRY, async () => {})).reused).toBe(false);
  });

  it("deletes entries of the named kinds that were not used for long", async () => {
    const old = await fillCached(ENTRY, async () => {});
    const used = await fillCached({ kind: "thing", key: 2 }, async () => {});
    const other = await fillCached({ kind: "other", key: 3 }, async () => {});
    for (const { path } of [old, used, other]) utimesSync(path, 1, 1);
    await fillCached({ kind: "thing", key: 2 }, async () => {});
    await pruneCache(["thing"], 60_000);
    expect([old, used, other].map(({ path }) => existsSync(path))).toEqual([false, true, true]);
  });
});
