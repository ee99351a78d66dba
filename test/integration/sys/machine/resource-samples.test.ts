import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { type ResourceSample, startSampling } from "../../../../agent/sys/machine/resource-samples.ts";

it("samples memory and CPU at growing intervals", () => {
  vi.useFakeTimers();
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
  vi.advanceTimersByTime(300);
  sampling.stop();
  vi.useRealTimers();
  expect(samples[1]).toMatchObject({ cpuPercent: 60 });
  expect(samples[2]).toMatchObject({ cpuPercent: 0 });
  // At 0, 10, 30, 50, 90, 130, 210 and 290 ms.
  expect(samples).toHaveLength(8);
  rmSync(procPath, { recursive: true });
});

it("reads this machine", () => {
  const samples: ResourceSample[] = [];
  startSampling({ onSample: (sample) => samples.push(sample) }).stop();
  expect(samples[0]!.memoryUsedBytes).toBeGreaterThan(1e6);
  expect(samples[0]!.memoryUsedBytes).toBeLessThan(samples[0]!.memoryTotalBytes);
});
