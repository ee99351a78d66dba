/**
 * The number of tests by outcome, for the log and for the event that the page is made from.
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
  /** `deqp-runner`, `TAP`, `JUnit`, `KTAP`, `steps`. */
  sources: string[];
}

export function summarizeTests({ passed, failed, error, skipped }: Counts, sources: string[]): TestSummary {
  return { total: passed + failed + error + skipped, passed, failed: failed + error, skipped, sources };
}

/** `1,204 tests: 1,200 passed, 3 failed, 1 skipped (deqp-runner)`. */
export function formatSummary({ total, passed, failed, skipped, sources }: TestSummary): string {
  const unit = sources.join() === "steps" ? "step" : "test";
  const all = `${formatCount(total)} ${unit}${total === 1 ? "" : "s"}`;
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
