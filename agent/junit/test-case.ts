/**
 * A test case of any format, and the report that collects them in bounded memory: all are counted, and of those that are kept, failures take
 * precedence over skipped tests, and these over passes.
 */
import { truncate } from "../text.ts";
import {
  JUNIT_DETAILS_MAX_CHARS,
  JUNIT_MAX_BYTES,
  JUNIT_MAX_CASES,
  JUNIT_MAX_SUITES,
  JUNIT_NAME_MAX_CHARS,
} from "./limits.ts";

/** `error`: the test gave no result (crash, timeout, missing). */
export type Outcome = "passed" | "failed" | "error" | "skipped";

export interface TestCase {
  name: string;
  /** CI systems group by it; by default the suite's name. */
  classname?: string;
  timeSeconds?: number;
  outcome: Outcome;
  /** The reason, on one line. */
  message?: string;
  /** The reason in detail. */
  details?: string;
  output?: string;
  /** The test's source file. */
  file?: string;
}

export type Counts = Record<Outcome, number>;

export interface TestSuite {
  readonly name: string;
  /** Of all cases, kept or not. */
  readonly counts: Readonly<Counts>;
  add(testCase: TestCase): void;
  /** Adds a problem of the results themselves. */
  note(text: string): void;
}

export type TestReport = ReturnType<typeof createTestReport>;

export interface ListedSuite {
  name: string;
  counts: Readonly<Counts>;
  cases: readonly TestCase[];
  notes: readonly string[];
}

export interface TestReportLimits {
  maxCases?: number;
  maxBytes?: number;
}

interface KeptCase {
  order: number;
  suite: number;
  testCase: TestCase;
}

/** Of a case in XML, beside its text. */
const CASE_BYTES = 120;
const MAX_NOTES = 20;

export function createTestReport(limits: TestReportLimits = {}) {
  const { maxCases = JUNIT_MAX_CASES, maxBytes = JUNIT_MAX_BYTES } = limits;
  const counts = createCounts();
  const suites: TestSuite[] = [];
  const byName = new Map<string, TestSuite>();
  const notes: string[][] = [];
  const worst: KeptCase[] = [];
  const skipped: KeptCase[] = [];
  const passed: KeptCase[] = [];
  const rooms: Record<Outcome, KeptCase[]> = { failed: worst, error: worst, skipped, passed };
  let nextOrder = 0;
  let detailBytes = 0;

  const keep = (suite: number, testCase: TestCase) => {
    const room = rooms[testCase.outcome];
    if (room.length >= maxCases) return;
    const bounded = boundCase(testCase);
    // The names of all failures are more important than the details of some.
    const detailLength = (bounded.details?.length ?? 0) + (bounded.output?.length ?? 0);
    if (detailBytes + detailLength > maxBytes / 2) {
      delete bounded.details;
      delete bounded.output;
    } else detailBytes += detailLength;
    room.push({ order: nextOrder++, suite, testCase: bounded });
  };

  const createSuite = (name: string, index: number): TestSuite => {
    const ownCounts = createCounts();
    const ownNotes: string[] = [];
    notes.push(ownNotes);
    return {
      name,
      counts: ownCounts,
      note(text) {
        if (ownNotes.length < MAX_NOTES) ownNotes.push(cutText(text, JUNIT_NAME_MAX_CHARS));
      },
      add(testCase) {
        counts[testCase.outcome]++;
        ownCounts[testCase.outcome]++;
        keep(index, testCase);
      },
    };
  };

  return {
    counts: counts as Readonly<Counts>,
    /** The same name gives the same suite. */
    suite(fullName: string): TestSuite {
      const name = cutText(fullName, JUNIT_NAME_MAX_CHARS);
      // With too many suites the last one gets the rest.
      const found = byName.get(name) ?? (suites.length >= JUNIT_MAX_SUITES ? suites.at(-1) : undefined);
      if (found) return found;
      const fresh = createSuite(name, suites.length);
      suites.push(fresh);
      byName.set(name, fresh);
      return fresh;
    },
    /** Suites with their kept cases, in the order they were added. */
    list(): ListedSuite[] {
      const kept: KeptCase[] = [];
      let sizeBytes = 0;
      for (const each of [...worst, ...skipped, ...passed]) {
        sizeBytes += countBytes(each.testCase);
        if (kept.length >= maxCases || sizeBytes > maxBytes) break;
        kept.push(each);
      }
      kept.sort((a, b) => a.order - b.order);
      const cases: TestCase[][] = suites.map(() => []);
      for (const { suite, testCase } of kept) cases[suite]!.push(testCase);
      return suites.map(({ name, counts: all }, index) => {
        return { name, counts: all, cases: cases[index]!, notes: notes[index]! };
      });
    },
  };
}

function createCounts(): Counts {
  return { passed: 0, failed: 0, error: 0, skipped: 0 };
}

function boundCase({ name, classname, message, details, output, file, ...rest }: TestCase): TestCase {
  const short = (text: string) => cutText(text, JUNIT_NAME_MAX_CHARS);
  const long = (text: string) => cutText(text, JUNIT_DETAILS_MAX_CHARS);
  return {
    ...rest,
    name: short(name),
    classname: classname === undefined ? undefined : short(classname),
    message: message ? short(message) : undefined,
    details: details ? long(details) : undefined,
    output: output ? long(output) : undefined,
    file: file ? short(file) : undefined,
  };
}

/** An estimate, which is enough for a limit of megabytes. */
function countBytes({ name, classname = "", message = "", details = "", output = "" }: TestCase): number {
  const characters = name.length + classname.length + message.length + details.length + output.length;
  return CASE_BYTES + Math.ceil(characters * 1.2);
}

/** A copy: a slice would keep the original text in memory. */
function cutText(text: string, maxChars: number): string {
  return Buffer.from(truncate(text, maxChars)).toString();
}
