/**
 * The cache: an entry is complete or absent, however its builder ends.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ensureCacheEntry } from "../../../qemu/cache-entry.ts";

let cache: string;

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "dutboot-cache-"));
  vi.stubEnv("DUTBOOT_CACHE", cache);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true });
});

const folders = async () => (await readdir(cache)).filter((name) => !name.endsWith(".lock"));

test("an entry is built once by several concurrent callers", async () => {
  let fills = 0;
  const make = () =>
    ensureCacheEntry({
      name: "thing",
      recipe: 1,
      fill: async (path) => {
        fills += 1;
        await sleep(50);
        await writeFile(join(path, "content"), "whole");
      },
    });
  const entries = await Promise.all([make(), make(), make()]);
  expect(fills).toBe(1);
  expect(entries.map(({ isNew }) => isNew).sort()).toEqual([false, false, true]);
  expect(await readFile(join(entries[0].path, "content"), "utf8")).toBe("whole");
});

test("a different recipe is a different entry", async () => {
  const make = (recipe: unknown) => ensureCacheEntry({ name: "thing", recipe, fill: async () => {} });
  expect((await make(["a"])).path).not.toBe((await make(["b"])).path);
});

test("an entry is absent after a failure and can be built again", async () => {
  const make = (fill: (path: string) => Promise<void>) =>
    ensureCacheEntry({ name: "thing", recipe: 1, fill });
  await expect(
    make(async (path) => {
      await writeFile(join(path, "content"), "half");
      throw new Error("broken");
    }),
  ).rejects.toThrow("broken");
  expect(await folders()).toEqual([]);
  expect((await make(async () => {})).isNew).toBe(true);
});

test("an abort ends the wait for an entry", async () => {
  const make = (fill: () => Promise<void>, signal?: AbortSignal) =>
    ensureCacheEntry({ name: "thing", recipe: 1, fill }, { signal });
  let finish = () => {};
  const first = make(() => new Promise((resolve) => (finish = resolve)));
  await expect.poll(folders).toHaveLength(1);
  const controller = new AbortController();
  const second = make(async () => {}, controller.signal);
  await sleep(50);
  controller.abort(new Error("no more"));
  await expect(second).rejects.toThrow("no more");
  finish();
  expect((await first).isNew).toBe(true);
});

test("an entry is built again after its builder was killed", async () => {
  const source = `
    import { ensureCacheEntry } from ${JSON.stringify(join(import.meta.dirname, "../../../qemu/cache-entry.ts"))};
    import { writeFileSync } from "node:fs";
    const fill = async (path) => {
      writeFileSync(path + "/content", "half");
      await new Promise((resolve) => setTimeout(resolve, 60_000));
    };
    await ensureCacheEntry({ name: "thing", recipe: 1, fill });
  `;
  const maker = spawn(process.execPath, ["--input-type=module-typescript", "-e", source], {
    stdio: "inherit",
  });
  const hasBegun = async () => (await folders()).some((name) => existsSync(join(cache, name, "content")));
  await expect.poll(hasBegun, { timeout: 10_000 }).toBe(true);
  maker.kill("SIGKILL");
  await once(maker, "exit");
  const entry = await ensureCacheEntry({
    name: "thing",
    recipe: 1,
    fill: (path) => writeFile(join(path, "content"), "whole"),
  });
  expect(await readFile(join(entry.path, "content"), "utf8")).toBe("whole");
  expect(await folders()).toHaveLength(1);
});
