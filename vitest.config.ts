import { defineConfig } from "vitest/config";

// One suite per folder of test/, so that each can be run alone: `npm test -- unit privileged`.
const suite = (name: string, testTimeoutMs: number, sideBySide = true) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    testTimeout: testTimeoutMs,
    hookTimeout: testTimeoutMs,
    fileParallelism: sideBySide,
  },
});

export default defineConfig({
  test: {
    projects: [
      suite("unit", 20_000),
      suite("regress", 20_000),
      suite("fuzz", 120_000),
      suite("integration", 120_000),
      suite("privileged", 120_000, false),
      suite("boot", 600_000, false),
      suite("night", 600_000, false),
    ],
  },
});
