/**
 * One test as every format has it, and the report that gathers them: bounded, so that a million passes cost no memory.
 * Failures are worth the most room, then what was skipped; passes are the first to be left out, and all are counted.
 */
import { truncate } from "../text.ts";
import {
  JUNIT_DETAILS_MAX_CHARS,
  JUNIT_MAX_BYTES,
  JUNIT_MAX_CASES,
  JUNIT_MAX_SUITES,
  JUNIT_NAME_MAX_CHARS,
} from "./limits.ts";

/** `error`: the test came to no result of its own (crash, timeout, missing). */
export type Outcome = "passed" | "failed" | "error" | "skipped";

export interface TestCase {
  name: string;
  /** What CI systems group by; the suite's name where a format has none. */
  classname?: string;
  timeSeconds?: number;
  outcome: Outcome;
  /** Why, on one line. */
  message?: string;
  /** Why, at length. */
  details?: string;
  output?: string;
  /** Source file of the test, where the test says one. */
  file?: string;
}

export type Counts = Record<Outcome, number>;

export interface TestSuite {
  readonly name: string;
  /** Of all that were added, whether kept or not. */
  readonly counts: Readonly<Counts>;
  add(testCase: TestCase): void;
  /** What is wrong with the results themselves. */
  note(text: string): void;
}

export interface TestReport {
  /** The same name gives the same suite. */
  suite(name: string): TestSuite;
  readonly counts: Readonly<Counts>;
  /** Suites with the cases that are kept, in the order they came. */
  list(): ListedSuite[];
}

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

/** What is written around a case's own text. */
const CASE_BYTES = 120;
const MAX_NOTES = 20;

export function createTestReport(limits: TestReportLimits = {}): TestReport {
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
    // Names of all failures are worth more than the words of some.
    const words = (bounded.details?.length ?? 0) + (bounded.output?.length ?? 0);
    if (detailBytes + words > maxBytes / 2) {
      delete bounded.details;
      delete bounded.output;
    } else detailBytes += words;
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
    counts,
    suite(written) {
      const name = cutText(written, JUNIT_NAME_MAX_CHARS);
      // Beyond the bound the last one takes them all.
      const found = byName.get(name) ?? (suites.length >= JUNIT_MAX_SUITES ? suites.at(-1) : undefined);
      if (found) return found;
      const fresh = createSuite(name, suites.length);
      suites.push(fresh);
      byName.set(name, fresh);
      return fresh;
    },
    list() {
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
    ...(classname !== undefined && { classname: short(classname) }),
    ...(message && { message: short(message) }),
    ...(details && { details: long(details) }),
    ...(output && { output: long(output) }),
    ...(file && { file: short(file) }),
  };
}

/** As if every character took one byte more than one: close enough for a bound of megabytes. */
function countBytes({ name, classname = "", message = "", details = "", output = "" }: TestCase): number {
  const characters = name.length + classname.length + message.length + details.length + output.length;
  return CASE_BYTES + Math.ceil(characters * 1.2);
}

/** The copy is no window on the text it was cut from, which would stay in memory with it. */
function cutText(text: string, maxChars: number): string {
  return Buffer.from(truncate(text, maxChars)).toString();
}
