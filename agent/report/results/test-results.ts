/**
 * Collects test results into one report: from files in the results folder, else from the steps' logs, else from the kernel's log; without
 * any of these the steps count as tests. The folder is the test's, so links are not followed.
 */
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { createDeqpReader } from "../../junit/deqp-csv.ts";
import {
  detectFormat,
  dropDuplicateReports,
  mayHoldResults,
  type ResultFormat,
  SNIFF_BYTES,
} from "../../junit/detect-format.ts";
import { JUNIT_XML_MAX_BYTES } from "../../junit/limits.ts";
import { createLineReader, type LineSink } from "../../junit/line-reader.ts";
import { createErrorCase, createStepCase, type StepRecord } from "../../junit/step-cases.ts";
import { summarizeTests, type TestSummary } from "../../junit/summary.ts";
import { createTapReader } from "../../junit/tap-reader.ts";
import { createTestReport, type TestReport } from "../../junit/test-case.ts";
import { readJunitXml } from "../../junit/xml-reader.ts";
import { READ_CHUNK_BYTES } from "../../limits.ts";
import type { Verdict } from "../../wire/verdict.ts";
import {
  RESULT_FILE_MAX_BYTES,
  RESULT_FILES_MAX,
  RESULT_READ_LIMIT_MS,
  STEP_LOG_TAIL_BYTES,
} from "../limits.ts";
import { listResults } from "./list-results.ts";

/** The file that CI systems read; a test may write it itself. */
export const JUNIT_FILE_NAME = "junit.xml";

const AGENT_FILES =
  /^(?:dutboot\.log|events\.jsonl|kernel\.log|(?:job|verdict|manifest|partial)\.json|report\.html|(?:steps|previous-boot)\/.*)$/;

const SOURCES: Readonly<Record<ResultFormat, string>> = { junit: "JUnit", tap: "TAP", deqp: "deqp-runner" };

export interface TestResults {
  report: TestReport;
  /** Empty when the test's own file is kept but too large to read. */
  summary: TestSummary;
  /** The test's own `junit.xml` is used unchanged. */
  isKept: boolean;
}

export interface TestResultsOptions {
  steps: readonly StepRecord[];
  verdict: Verdict;
  warn(message: string): void;
  limitMs?: number;
}

interface Reading {
  folder: string;
  report: TestReport;
  /** By performance.now(). */
  deadline: number;
  warn(message: string): void;
}

export async function gatherTestResults(folder: string, options: TestResultsOptions): Promise<TestResults> {
  const { verdict, warn, limitMs = RESULT_READ_LIMIT_MS } = options;
  const steps = options.steps.filter(({ kind }) => kind !== "service");
  const names = listResults(folder)
    .files.map(({ name }) => name)
    .filter((name) => !AGENT_FILES.test(name));

  if (names.includes(JUNIT_FILE_NAME)) {
    const kept = await readTestReport(folder, warn);
    if (kept) return kept;
  }

  const report = createTestReport();
  const reading: Reading = { folder, report, deadline: performance.now() + limitMs, warn };
  const sources = new Set<string>();
  const hasResults = () => summarizeTests(report.counts, []).total > 0;
  const candidates = names.filter((name) => name !== JUNIT_FILE_NAME && mayHoldResults(name));
  if (candidates.length > RESULT_FILES_MAX)
    warn(`results: searched only ${RESULT_FILES_MAX} of ${candidates.length} files for test results`);
  for (const name of dropDuplicateReports(candidates.slice(0, RESULT_FILES_MAX))) {
    const format = await readResultFile(name, reading);
    if (format) sources.add(SOURCES[format]);
  }

  const logs = steps.filter(({ kind }) => kind === "main").map(nameStepLog);
  for (const name of [...logs, "kernel.log"]) {
    // All steps' logs count; the kernel's only when they have no results.
    if (hasResults() && (sources.size > 0 || name === "kernel.log")) break;
    await readLog(name, reading);
  }
  if (hasResults() && sources.size === 0) sources.add("KTAP");

  const own = report.suite("dutboot");
  const { failed } = summarizeTests(report.counts, []);
  if (!hasResults() && steps.length > 0) sources.add("steps");
  for (const step of steps) {
    // Beside other results a step counts only when it failed and no test did.
    const isBad = createStepCase(step).outcome !== "passed";
    if (!sources.has("steps") && (failed > 0 || !isBad)) continue;
    own.add(createStepCase(step, isBad ? await readTail(join(folder, nameStepLog(step))) : undefined));
  }
  const error = createErrorCase(verdict);
  if (error) own.add(error);
  return { report, summary: summarizeTests(report.counts, [...sources]), isKept: false };
}

const nameStepLog = ({ number, kind }: StepRecord) => `steps/${number}-${kind}.log`;

/** undefined when the file is not usable. */
async function readTestReport(
  folder: string,
  warn: TestResultsOptions["warn"],
): Promise<TestResults | undefined> {
  const report = createTestReport();
  const summarize = () => summarizeTests(report.counts, [SOURCES.junit]);
  const text = await readWhole(join(folder, JUNIT_FILE_NAME));
  if (text === undefined) {
    warn(`results: the test's "${JUNIT_FILE_NAME}" is kept without being read: ${TOO_LARGE}`);
    return { report, summary: summarize(), isKept: true };
  }
  const problem = readJunitXml(text, { suite: (name) => report.suite(name ?? JUNIT_FILE_NAME) });
  const summary = summarize();
  if (problem === undefined && summary.total > 0) return { report, summary, isKept: true };
  warn(`results: cannot use the test's "${JUNIT_FILE_NAME}": ${problem ?? "it contains no test"}`);
  return undefined;
}

const TOO_LARGE = `it is larger than ${JUNIT_XML_MAX_BYTES / 1e6} MB`;

/** The format; undefined for other files, and with a warning for a file that cannot be read. */
async function readResultFile(
  name: string,
  { folder, report, deadline, warn }: Reading,
): Promise<ResultFormat | undefined> {
  const path = join(folder, name);
  try {
    await using file = await openPlain(path);
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(SNIFF_BYTES), position: 0 });
    const { size } = await file.stat();
    const head = buffer.toString("utf8", 0, bytesRead);
    const format = detectFormat(name, head, { isCut: bytesRead < size });
    if (format === undefined) return undefined;
    if (format !== "junit") {
      const suite = report.suite(name);
      const sink =
        format === "deqp" ? createDeqpReader(suite) : createTapReader(suite, { needsVersion: false });
      const readBytes = await readLines(file, sink, { from: 0, deadline });
      if (readBytes < size) suite.note(`only the first ${readBytes} bytes of ${size} are read`);
      return format;
    }
    const text = await readWhole(path);
    const suites = {
      suite: (own: string | undefined) => report.suite(own === undefined ? name : `${name}: ${own}`),
    };
    const problem = text === undefined ? TOO_LARGE : readJunitXml(text, suites);
    if (problem === undefined) return format;
    warn(`results: cannot use "${name}": ${problem}`);
  } catch (error) {
    warn(`results: cannot read "${name}": ${(error as Error).message}`);
  }
  return undefined;
}

/** Ignores a log that does not exist. */
async function readLog(name: string, { folder, report, deadline }: Reading): Promise<void> {
  try {
    await using file = await openPlain(join(folder, name));
    const from = await findVersionLine(file, deadline);
    if (from === undefined) return;
    const sink = createTapReader(report.suite(name), { needsVersion: true });
    await readLines(file, sink, { from, deadline });
  } catch {
    return;
  }
}

/** Part of every version line. Most logs have none and need not be read line by line. */
const VERSION_MARK = Buffer.from("TAP version 1");
/** What such a line may have before it. */
const VERSION_LINE_BYTES = 256;

/** The offset of the line with the first version mark. */
async function findVersionLine(file: FileHandle, deadline: number): Promise<number | undefined> {
  const buffer = Buffer.alloc(READ_CHUNK_BYTES);
  for (let at = 0; performance.now() < deadline; ) {
    const { bytesRead } = await file.read({ buffer, position: at });
    const found = buffer.subarray(0, bytesRead).indexOf(VERSION_MARK);
    const hasLine = found >= VERSION_LINE_BYTES || at === 0;
    if (found !== -1 && hasLine) return at + buffer.lastIndexOf(0x0a, found) + 1;
    if (bytesRead <= VERSION_LINE_BYTES || (found === -1 && bytesRead < buffer.length)) return undefined;
    at += found === -1 ? bytesRead - VERSION_LINE_BYTES : found - VERSION_LINE_BYTES;
  }
  return undefined;
}

/** Returns the offset that it reached. */
async function readLines(
  file: FileHandle,
  sink: LineSink,
  { from, deadline }: { from: number; deadline: number },
): Promise<number> {
  const reader = createLineReader(sink);
  const buffer = Buffer.alloc(READ_CHUNK_BYTES);
  let at = from;
  while (at < RESULT_FILE_MAX_BYTES && performance.now() < deadline) {
    const { bytesRead } = await file.read({ buffer, position: at });
    if (bytesRead === 0) break;
    reader.write(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  reader.end();
  return at;
}

/** undefined for a file that is too large. */
async function readWhole(path: string): Promise<string | undefined> {
  await using file = await openPlain(path);
  const { size } = await file.stat();
  return size > JUNIT_XML_MAX_BYTES ? undefined : (await file.readFile()).toString();
}

async function readTail(path: string): Promise<string | undefined> {
  try {
    await using file = await openPlain(path);
    const { size } = await file.stat();
    const position = Math.max(0, size - STEP_LOG_TAIL_BYTES);
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(STEP_LOG_TAIL_BYTES), position });
    const text = buffer.toString("utf8", 0, bytesRead);
    // Without the line that is cut.
    return position === 0 ? text : text.slice(text.indexOf("\n") + 1);
  } catch {
    return undefined;
  }
}

/** Follows no link and does not block on a pipe. */
function openPlain(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
}
