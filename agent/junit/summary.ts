/**
 * How many tests did what, in the log's one line and in the event for the page.
 */
import { formatCount } from "../text.ts";
import type { EventBody } from "../wire/event.ts";
import type { Counts } from "./test-case.ts";

export interface TestSummary {
  /** Crashes and timeouts count as failed. */
  total: number;
  passed: number;
  failed: number;
  skipped: number;
  /** Where the results came from: `deqp-runner`, `TAP`, `JUnit`, `steps`. */
  sources: string[];
}

export function summarizeTests({ passed, failed, error, skipped }: Counts, sources: string[]): TestSummary {
  return { total: passed + failed + error + skipped, passed, failed: failed + error, skipped, sources };
}

/** `1,204 tests: 1,200 passed, 3 failed, 1 skipped (deqp-runner)`. */
export function formatSummary({ total, passed, failed, skipped, sources }: TestSummary): string {
  const what = sources.join() === "steps" ? "step" : "test";
  const all = `${formatCount(total)} ${what}${total === 1 ? "" : "s"}`;
  const parts = [
    `${formatCount(passed)} passed`,
    `${formatCount(failed)} failed`,
    `${formatCount(skipped)} skipped`,
  ];
  return `${all}: ${parts.join(", ")} (${sources.join(", ")})`;
}

export function createTestsEvent(summary: TestSummary): EventBody {
  return { event: "report", topic: "tests", ...summary };
}
