/**
 * `npm test`: runs the checks, then every vitest suite in order. Each suite is set up before its time is taken.
 * The last line has the totals. The exit code is not 0 if anything failed or nothing ran.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { formatSeconds } from "./boot-report.ts";
import { runChecks } from "./check.ts";
import { prepareBootTests, prepareFarmTests, prepareToolsRoot } from "./prepare.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

interface Suite {
  name: string;
  /** Builds what the tests need, so that it does not count against a test's time limit. */
  prepare?: () => Promise<unknown>;
  /** Runs only if named. */
  isOptional?: boolean;
}

/** In order of cost, so that failures show early. */
const SUITES: readonly Suite[] = [
  { name: "unit" },
  { name: "regress" },
  { name: "fuzz" },
  { name: "integration", prepare: prepareFarmTests },
  { name: "privileged", prepare: () => prepareToolsRoot() },
  { name: "boot", prepare: prepareBootTests },
  { name: "night", prepare: prepareBootTests, isOptional: true },
];

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

async function runSuite(suite: Suite, filters: readonly string[]): Promise<Count> {
  await suite.prepare?.();
  const folder = await mkdtemp(join(tmpdir(), "dutboot-test-"));
  const report = join(folder, "report.json");
  try {
    const words = [
      "run",
      "--project",
      suite.name,
      "--passWithNoTests",
      "--reporter=default",
      "--reporter=json",
    ];
    const child = spawn("vitest", [...words, `--outputFile.json=${report}`, ...filters], {
      cwd: ROOT,
      // Tests find `node` in PATH; it must be the pinned one.
      env: { ...process.env, PATH: `${join(ROOT, "node_modules/.bin")}:${process.env.PATH}` },
      stdio: ["ignore", "inherit", "inherit"],
    });
    const [exitCode] = (await once(child, "close")) as [number | null];
    return await readCount(report, exitCode);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Reads the counts of vitest's JSON report. A failed run without a failed test (a file that does not load) counts as a failure. */
async function readCount(report: string, exitCode: number | null): Promise<Count> {
  let count: Count = { passed: 0, failed: 0, skipped: 0 };
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(
      await readFile(report, "utf8"),
    );
    count = {
      passed: numPassedTests,
      failed: numFailedTests,
      skipped: numPendingTests + (numTodoTests ?? 0),
    };
  } catch (error) {
    console.error(`test: cannot read vitest's report: ${(error as Error).message}`);
    count.failed = 1;
  }
  if (exitCode !== 0 && count.failed === 0) count.failed = 1;
  return count;
}

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const startedMs = performance.now();
  const value = await work();
  return { value, ms: performance.now() - startedMs };
}

/** Arguments: suites to run (default: all but the optional ones), then filters on file names for vitest. */
async function main(words: readonly string[]): Promise<number> {
  const names = words.filter((word) => SUITES.some(({ name }) => name === word));
  const filters = words.filter((word) => !names.includes(word));
  const suites =
    names.length > 0
      ? SUITES.filter(({ name }) => names.includes(name))
      : SUITES.filter(({ isOptional }) => !isOptional);
  const total: Count = { passed: 0, failed: 0, skipped: 0 };
  const lines: string[] = [];
  const add = (name: string, { passed, failed, skipped }: Count, ms: number) => {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
    lines.push(
      `  ${name.padEnd(12)} ${formatSeconds(ms).padStart(9)}  ${formatCount({ passed, failed, skipped })}`,
    );
  };
  if (names.length === 0 && filters.length === 0) {
    const { value: good, ms } = await timed(async () => runChecks());
    add("check", { passed: good ? 1 : 0, failed: good ? 0 : 1, skipped: 0 }, ms);
  }
  for (const suite of suites) {
    const { value: count, ms } = await timed(() =>
      runSuite(suite, filters).catch((error: unknown) => {
        console.error(`test: cannot run the suite "${suite.name}":`, error);
        return { passed: 0, failed: 1, skipped: 0 };
      }),
    );
    add(suite.name, count, ms);
  }
  console.log(["", "time and result of each suite:", ...lines, "", formatCount(total)].join("\n"));
  // It is a failure if nothing ran: a filter may be misspelled.
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

function formatCount({ passed, failed, skipped }: Count): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

process.exitCode = await main(process.argv.slice(2));
