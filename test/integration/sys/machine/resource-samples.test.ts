import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { type ResourceSample, startSampling } from "../../../../agent/sys/machine/resource-samples.ts";

it("tells memory and CPU, ever more rarely", async () => {
  const procPath = mkdtempSync(join(tmpdir(), "samples-"));
  const write = (busy: number, idle: number) =>
    writeFileSync(join(procPath, "stat"), `cpu  ${busy} 0 0 ${idle} 0 0 0 0 9 9\ncpu0 1 2 3\n`);
  writeFileSync(
    join(procPath, "meminfo"),
    "MemTotal:        1000 kB\nMemFree: 1 kB\nMemAvailable:     400 kB\n",
  );
  write(100, 300);
  const samples: ResourceSample[] = [];
  const sampling = startSampling({
    procPath,
    intervalMs: 10,
    samplesPerPace: 2,
    onSample: (sample) => samples.push(sample),
  });
  expect(samples).toEqual([{ memoryUsedBytes: 614_400, memoryTotalBytes: 1_024_000, cpuPercent: 25 }]);
  write(160, 340);
  await sleep(300);
  sampling.stop();
  expect(samples[1]).toMatchObject({ cpuPercent: 60 });
  expect(samples[2]).toMatchObject({ cpuPercent: 0 });
  // 10, 20, 20, 40, 40, 80, 80 ms: at the first pace it would be thirty.
  expect(samples.length).toBeLessThan(10);
  rmSync(procPath, { recursive: true });
});

it("reads this very machine", () => {
  const samples: ResourceSample[] = [];
  startSampling({ onSample: (sample) => samples.push(sample) }).stop();
  expect(samples[0]!.memoryUsedBytes).toBeGreaterThan(1e6);
  expect(samples[0]!.memoryUsedBytes).toBeLessThan(samples[0]!.memoryTotalBytes);
});
