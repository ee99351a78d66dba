/** What becomes of results folders as tests leave them: which results count, what is told, and what is never opened. */
import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import type { StepRecord } from "../../../../agent/junit/step-cases.ts";
import { formatSummary } from "../../../../agent/junit/summary.ts";
import { writeJunitXml } from "../../../../agent/junit/xml-writer.ts";
import { gatherTestResults } from "../../../../agent/report/results/test-results.ts";
import type { Verdict } from "../../../../agent/wire/verdict.ts";
import { createTemporaryFolder } from "../../../temporary-folder.ts";

const FAILED: Verdict = { version: 1, bootId: "1a2b3c4d", verdict: "fail", exitCode: 1, phases: [] };
const PASSED: Verdict = { ...FAILED, verdict: "pass", exitCode: 0 };
const GOOD = '<testsuites><testsuite name="own"><testcase name="a"/></testsuite></testsuites>';
const TAP = "TAP version 13\n1..2\nok 1 - a\nnot ok 2 - b\n";

const step = (exitCode: number): StepRecord => ({
  number: 1,
  kind: "main",
  name: "registry/test:1",
  end: { exitCode, durationMs: 1500 },
});

function createFolder(files: Record<string, string>): string {
  const folder = createTemporaryFolder("tests");
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, dirname(name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  return folder;
}

async function gather(folder: string, steps: StepRecord[] = [step(1)], verdict = FAILED) {
  const warnings: string[] = [];
  const results = await gatherTestResults(folder, { steps, verdict, warn: (text) => warnings.push(text) });
  const text = [...writeJunitXml(results.report, { name: "dutboot" })].join("");
  return { ...results, text, warnings, line: formatSummary(results.summary) };
}

it.each<[string, Record<string, string>, string]>([
  [
    "results of several formats",
    { "a/results.csv": "x.y,Pass\n", "b/out.tap": TAP, "c/r.xml": GOOD },
    "4 tests: 3 passed, 1 failed, 0 skipped (deqp-runner, TAP, JUnit)",
  ],
  [
    "failures once",
    { "results.csv": "x.y,Pass\nx.z,Fail\n", "failures.csv": "x.z,Fail\n" },
    "2 tests: 1 passed, 1 failed, 0 skipped (deqp-runner)",
  ],
  [
    "a step's log",
    {
      "steps/1-main.log": `noise\n${TAP}`,
      "kernel.log": "[    1.000000] KTAP version 1\n[    1.000001] ok 1 k\n",
    },
    "2 tests: 1 passed, 1 failed, 0 skipped (KTAP)",
  ],
  [
    "a file before a step's log",
    { "steps/1-main.log": TAP, "o.tap": TAP },
    "2 tests: 1 passed, 1 failed, 0 skipped (TAP)",
  ],
  [
    "the kernel's log, and the step that failed beside it",
    { "kernel.log": "[    1.000000] KTAP version 1\n[    1.000001] ok 1 k\n" },
    "2 tests: 1 passed, 1 failed, 0 skipped (KTAP)",
  ],
  [
    "nothing",
    { "data.bin": "\0\0", "steps/1-main.log": "it broke\n" },
    "1 step: 0 passed, 1 failed, 0 skipped (steps)",
  ],
])("%s", async (_what, files, line) => {
  // Kernel messages of an earlier boot are no results of this one.
  const other = { "previous-boot/dmesg.txt": "KTAP version 1\n1..1\nnot ok 1 old\n" };
  expect((await gather(createFolder({ ...files, ...other }))).line).toBe(line);
});

it("shows a failed step with the end of its log", async () => {
  const { text } = await gather(createFolder({ "steps/1-main.log": `${"x\n".repeat(50_000)}it broke\n` }));
  expect(text).toContain('classname="dutboot.main" name="registry/test:1" time="1.500"');
  expect(text).toContain('<failure message="exit code 1">');
  expect(text).toContain("it broke");
  expect(text.length).toBeLessThan(20_000);
});

it("keeps a valid junit.xml of the test", async () => {
  const { isKept, line } = await gather(createFolder({ "junit.xml": GOOD, "results.csv": "x.y,Fail\n" }));
  expect([isKept, line]).toEqual([true, "1 test: 1 passed, 0 failed, 0 skipped (JUnit)"]);
});

it.each([
  ["cut", GOOD.slice(0, 40)],
  ["empty", "<testsuites/>"],
  ["not XML", "\0\0"],
])("makes another where the test's own is %s, and tells", async (_what, content) => {
  const found = await gather(createFolder({ "junit.xml": content, "results.csv": "x.y,Fail\n" }));
  expect([found.isKept, found.line]).toEqual([false, "1 test: 0 passed, 1 failed, 0 skipped (deqp-runner)"]);
  expect(found.warnings).toHaveLength(1);
});

it("reports the job's error, whether tests ran or not", async () => {
  const error = {
    code: "NET_TIMEOUT",
    blame: "infra",
    phase: "fetch",
    message: "Cannot <get> it",
    hint: "Wait",
  };
  const { text } = await gather(createFolder({}), [], { ...FAILED, verdict: "error", error } as never);
  expect(text).toContain('classname="dutboot.phase" name="fetch"');
  expect(text).toContain("NET_TIMEOUT: Cannot &#60;get&#62; it");
});

it("finds a version line anywhere in a long log", async () => {
  for (const before of [0, 255, 1_048_000, 1_048_575, 1_048_577, 2_500_000]) {
    const log = `${"x".repeat(before)}\n[    1.000000] TAP version 13\n[    1.000001] 1..1\nok 1 - a\n`;
    const { line } = await gather(createFolder({ "steps/1-main.log": log }), [step(0)], PASSED);
    expect(line, String(before)).toBe("1 test: 1 passed, 0 failed, 0 skipped (KTAP)");
  }
});

it("keeps a report that is too large to read, with a warning", async () => {
  const { isKept, summary, warnings } = await gather(createFolder({ "junit.xml": " ".repeat(10_000_001) }));
  expect([isKept, summary.total, warnings.length]).toEqual([true, 0, 1]);
});

it("reports what it has read when the time is over", async () => {
  const folder = createFolder({ "results.csv": "x.y,Pass\n".repeat(500_000) });
  const { report } = await gatherTestResults(folder, { steps: [], verdict: PASSED, warn() {}, limitMs: 1 });
  expect(report.counts.passed).toBeLessThan(500_000);
  expect(report.list()[0]?.notes[0]).toMatch(/^only the first \d+ bytes of \d+ are read$/);
});

it("follows no link and does not block on a pipe", async () => {
  const folder = createFolder({ "keep.txt": "no result" });
  symlinkSync("/etc/passwd", join(folder, "junit.xml"));
  symlinkSync("/", join(folder, "everything"));
  execFileSync("mkfifo", [join(folder, "results.csv")]);
  const { line, warnings } = await gather(folder, [step(0)], PASSED);
  expect([line, warnings]).toEqual(["1 step: 1 passed, 0 failed, 0 skipped (steps)", []]);
});
