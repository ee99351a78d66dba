import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { claimRunDirectory } from "../../../qemu/run-directory.ts";

it("gives each of many runs of one second a separate directory (C61)", async () => {
  const parent = await mkdtemp(join(tmpdir(), "dutboot-runs-"));
  try {
    const runs = await Promise.all(Array.from({ length: 50 }, () => claimRunDirectory(join(parent, "runs"))));
    expect(new Set(runs.map(({ path }) => path)).size).toBe(50);
    expect(runs[0]!.id).toMatch(/^\d{8}T\d{6}Z-[0-9a-f]{6}$/);
    expect((await stat(runs[0]!.resultsPath)).isDirectory()).toBe(true);
  } finally {
    await rm(parent, { recursive: true });
  }
});
