import { expect, test } from "vitest";
import { planMemoryLimit } from "../../../agent/sys/container/cgroup.ts";

const MiB = 1024 * 1024;

test.each([
  [4096, 3968],
  [1024, 896],
  [256, 128],
  [100, 50],
])("of %d MiB the test may take %d", (availableMiB, limitMiB) => {
  expect(planMemoryLimit(availableMiB * MiB)).toBe(limitMiB * MiB);
});
