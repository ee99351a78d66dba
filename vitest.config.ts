import { defineConfig } from "vitest/config";

// One suite per folder of test/, so that each can be run alone: `npm test -- unit privileged`.
const suite = (name: string, testTimeoutMs: number, { sideBySide = true, boots = false } = {}) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: testTimeoutMs,
    hookTimeout: testTimeoutMs,
    fileParallelism: sideBySide,
    // QEMU's TCG aborts now and then (iotlb_to_section), whatever the guest does. The report shows the repetition.
    retry: boots ? { count: 1, condition: /QEMU exited with SIGABRT/ } : 0,
  },
});

export default defineConfig({
  test: {
    projects: [
      suite("unit", 20_000),
      suite("regress", 20_000),
      suite("fuzz", 120_000),
      suite("integration", 120_000),
      suite("privileged", 120_000, { sideBySide: false }),
      suite("boot", 600_000, { sideBySide: false, boots: true }),
      suite("night", 600_000, { sideBySide: false, boots: true }),
    ],
  },
});
