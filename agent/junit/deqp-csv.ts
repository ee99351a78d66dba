/**
 * deqp-runner's results.csv and failures.csv: lines of `test,Status[,seconds]` without a header (deqp-runner, src/runner_results.rs). A
 * failure is what its exit code counts as one; failures that it expects or tolerates are reported as skipped.
 */
import type { LineSink } from "./line-reader.ts";
import type { Outcome, TestSuite } from "./test-case.ts";

const OUTCOMES: Readonly<Record<string, Outcome>> = {
  Pass: "passed",
  Warn: "passed",
  Fail: "failed",
  Crash: "error",
  Timeout: "error",
  Missing: "error",
  Skip: "skipped",
  ExpectedFail: "skipped",
  Flake: "skipped",
  KnownFlake: "skipped",
};

const MESSAGES: Readonly<Record<string, string>> = {
  Warn: "passed with a warning (Warn)",
  Fail: "failed (Fail)",
  Crash: "crashed (Crash)",
  Timeout: "ran out of time (Timeout)",
  Missing: "gave no result (Missing)",
  ExpectedFail: "failed as expected (ExpectedFail)",
  Flake: "failed, then passed (Flake)",
  KnownFlake: "a known flake (KnownFlake)",
};

interface DeqpResult {
  test: string;
  status: string;
  seconds?: number;
}

/** undefined for other lines. */
export function parseDeqpLine(line: string): DeqpResult | undefined {
  // From the end: piglit's names may contain commas.
  const last = line.lastIndexOf(",");
  if (last <= 0) return undefined;
  const tail = line.slice(last + 1);
  if (isStatus(tail)) return { test: line.slice(0, last), status: tail };
  const before = line.lastIndexOf(",", last - 1);
  if (before <= 0 || !/^\d+(?:\.\d*)?(?:e-?\d+)?$/.test(tail)) return undefined;
  const status = line.slice(before + 1, last);
  if (!isStatus(status)) return undefined;
  return { test: line.slice(0, before), status, seconds: Number(tail) };
}

function isStatus(text: string): boolean {
  return Object.hasOwn(OUTCOMES, text) || /^UnexpectedImprovement(?:\([A-Za-z]+\))?$/.test(text);
}

/** `head`: a file's first bytes; `isCut`: more follow. */
export function isDeqpCsv(head: string, { isCut }: { isCut: boolean }): boolean {
  const lines = head.split(/\r?\n/);
  if (isCut) lines.pop();
  const results = lines.filter((line) => line !== "").map((line) => parseDeqpLine(line) !== undefined);
  const wrong = results.filter((isResult) => !isResult).length;
  // A killed runner leaves a cut line, also in the middle of the file if it was restarted.
  return results[0] === true && wrong <= 1 + results.length / 10;
}

export function createDeqpReader(suite: TestSuite): LineSink {
  let unreadable = 0;
  let firstUnreadable = 0;
  let number = 0;
  return {
    line(text) {
      number++;
      if (text === "") return;
      const result = parseDeqpLine(text);
      if (!result) {
        unreadable++;
        firstUnreadable ||= number;
        return;
      }
      const { test, status, seconds } = result;
      const outcome = OUTCOMES[status] ?? "failed";
      const message = MESSAGES[status] ?? (outcome === "failed" ? `not expected (${status})` : undefined);
      suite.add({
        name: test,
        classname: nameGroup(test) || suite.name,
        outcome,
        timeSeconds: seconds,
        message,
        output: status === "Warn" ? message : undefined,
      });
    },
    end() {
      if (unreadable === 0) return;
      suite.note(`invalid lines: ${unreadable}, the first is line ${firstUnreadable}`);
    },
  };
}

/** `dEQP-VK.api.smoke` for `dEQP-VK.api.smoke.triangle`; piglit's names have `@` between their parts. */
function nameGroup(test: string): string {
  const end = test.includes("@") ? test.lastIndexOf("@") : test.lastIndexOf(".");
  return test.slice(0, Math.max(end, 0));
}
