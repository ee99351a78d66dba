/**
 * Reads TAP 13/14 and KTAP from a file or a log. Subtests become test cases below the name of their test. A wrong number of tests,
 * `Bail out!` and a truncated file are errors, as both specifications require.
 */
import {
  JUNIT_DETAILS_MAX_CHARS,
  TAP_DIAGNOSTIC_LINES,
  TAP_MAX_DEPTH,
  TAP_WAITING_MAX_CASES,
} from "./limits.ts";
import type { LineSink } from "./line-reader.ts";
import { judgeTap, NOT_OK, parseTapLine, type TapLine, type TapResult } from "./tap-line.ts";
import type { TestCase, TestSuite } from "./test-case.ts";

export interface TapReaderOptions {
  /** In a log only lines after a version line count; a TAP file may omit it. */
  needsVersion: boolean;
}

/** `path`: the names of the tests above it. */
interface NestedCase {
  path: string[];
  testCase: TestCase;
}

interface Level {
  indent: string;
  planned?: number;
  seen: number;
  /** Subtests of the test whose result follows. */
  waiting: NestedCase[];
}

interface Diagnostics {
  testCase: TestCase;
  lines: string[];
  characters: number;
  /** They were before the result. */
  isClosed: boolean;
  /** Indentation of an open YAML block. */
  yamlIndent?: string;
}

export function createTapReader(suite: TestSuite, { needsVersion }: TapReaderOptions): LineSink {
  return new TapReader(suite, needsVersion);
}

class TapReader implements LineSink {
  readonly #suite: TestSuite;
  #levels: Level[] = [];
  #isKernel = false;
  #isOver = false;
  /** Lines before a result: the diagnostics of KTAP. */
  #before: string[] = [];
  /** Complete except for diagnostics that may follow. */
  #ready: NestedCase | undefined;
  /** Of the last result, after which TAP has them. */
  #last: Diagnostics | undefined;

  constructor(suite: TestSuite, needsVersion: boolean) {
    this.#suite = suite;
    if (!needsVersion) this.#levels = [createLevel("")];
  }

  line(text: string): void {
    if (this.#last?.yamlIndent !== undefined && this.#takeYaml(text)) return;
    const line = parseTapLine(text);
    if (line.kind === "version") this.#begin(line);
    else if (this.#levels.length > 0 && !this.#isOver && !this.#read(line)) this.#note(line);
  }

  end(): void {
    this.#leave(0);
  }

  /** False for a line without a meaning of its own. */
  #read(line: TapLine): boolean {
    switch (line.kind) {
      case "plan":
        // `# 1..6` is a comment in plain TAP; selftests have a version line before it.
        if (!this.#enter(line, { opens: !line.indent.includes("#") })) return false;
        this.#plan(line);
        return true;
      case "result":
        if (!this.#enter(line, { opens: isSubtest(line) })) return false;
        this.#take(line);
        return true;
      case "bail":
        this.#bail(line.reason);
        return true;
      default:
        return false;
    }
  }

  #begin({ indent, isKernel }: Extract<TapLine, { kind: "version" }>): void {
    const top = this.#levels.at(-1);
    if (!top || indent.length <= this.#levels[0]!.indent.length) {
      // A new run, such as the next collection of selftests.
      const isFirst = top !== undefined && this.#levels.length === 1 && isUntouched(top);
      if (!isFirst) this.#leave(0);
      this.#levels = [createLevel(indent)];
      this.#isKernel = isKernel;
      this.#isOver = false;
      this.#before = [];
      return;
    }
    if (this.#isOver || this.#levels.length >= TAP_MAX_DEPTH) return;
    this.#close(indent);
    const current = this.#levels.at(-1)!;
    if (current.indent === indent && isUntouched(current)) return;
    if (current.indent === indent) this.#closeTop();
    this.#levels.push(createLevel(indent));
  }

  /** Makes the line's level the current one; false when it has none. */
  #enter({ indent }: TapLine, { opens }: { opens: boolean }): boolean {
    if (indent.length < this.#levels[0]!.indent.length) return false;
    const known = this.#levels.some((level) => level.indent === indent);
    if (!known && (!opens || this.#levels.length >= TAP_MAX_DEPTH)) return false;
    this.#close(indent);
    if (this.#levels.at(-1)!.indent !== indent) this.#levels.push(createLevel(indent));
    return true;
  }

  #plan(line: Extract<TapLine, { kind: "plan" }>): void {
    const level = this.#levels.at(-1)!;
    level.planned = line.planned;
    if (line.skip === undefined) return;
    this.#addCase({ name: "all tests", outcome: "skipped", message: line.skip || "nothing to run" });
  }

  #take(line: TapLine & TapResult): void {
    const level = this.#levels.at(-1)!;
    level.seen++;
    const { outcome, message } = judgeTap(line);
    const name = line.description || `test ${line.number ?? level.seen}`;
    const isBad = outcome === "failed" || outcome === "error";
    const subtests = level.waiting;
    level.waiting = [];
    for (const { path, testCase } of subtests) this.#addCase(testCase, [name, ...path]);
    // A test's own result counts only when its subtests do not explain it.
    const isExplained = subtests.some(({ testCase }) => isFailure(testCase)) || !isBad;
    const testCase: TestCase = { name, outcome, message: message || undefined };
    const isSelftest = this.#isKernel || line.indent.includes("#") || name.startsWith("selftests:");
    const lines = isSelftest && isBad ? this.#before : [];
    if (lines.length > 0) testCase.details = lines.join("\n");
    this.#before = [];
    this.#last = { testCase, lines, characters: lines.join().length, isClosed: isSelftest };
    if (subtests.length === 0 || !isExplained) this.#addCase(testCase);
  }

  #note({ text, indent }: TapLine): void {
    const body = text.slice(indent.length);
    if (this.#last && body === "---" && !indent.includes("#")) {
      this.#last.yamlIndent = indent;
      return;
    }
    // The name is repeated with the result.
    if (/^(?:# )?Subtest:/.test(body)) return;
    this.#before.push(text);
    if (this.#before.length > TAP_DIAGNOSTIC_LINES) this.#before.shift();
    if (this.#last && !this.#last.isClosed) addDiagnostic(this.#last, text);
  }

  /** Whether the line belongs to the block. */
  #takeYaml(text: string): boolean {
    const last = this.#last!;
    const indent = last.yamlIndent!;
    const isInside = text.startsWith(indent) || text.trim() === "";
    const body = text.slice(indent.length).trimEnd();
    if (!isInside || body === "...") {
      delete last.yamlIndent;
      return isInside;
    }
    const duration = /^duration_ms:\s*(\d+(?:\.\d+)?)$/.exec(body);
    if (duration) last.testCase.timeSeconds = Number(duration[1]) / 1000;
    const reason = /^(?:message|error):\s*(["']?)([^|>].*)\1$/.exec(body);
    if (reason && last.testCase.message === NOT_OK) last.testCase.message = reason[2]!;
    addDiagnostic(last, body);
    return true;
  }

  #bail(reason: string): void {
    const message = reason === "" ? "the test stopped here" : reason;
    this.#addCase({ name: "Bail out!", outcome: "error", message });
    // This explains why planned tests are missing.
    for (const level of this.#levels) level.planned = level.seen;
    this.#leave(0);
    this.#isOver = true;
    this.#levels = [createLevel("")];
  }

  /** Ends the levels below the line's; their cases wait for the result of their test. */
  #close(indent: string): void {
    while (this.#levels.length > 1 && this.#levels.at(-1)!.indent.length > indent.length) this.#closeTop();
  }

  #closeTop(): void {
    const level = this.#levels.at(-1)!;
    const { planned, seen } = level;
    if (planned === undefined && seen > 0 && this.#levels.length === 1)
      this.#suite.note("no plan: the test may have ended early");
    if (planned !== undefined && planned !== seen)
      this.#addCase({
        name: "the plan",
        outcome: "error",
        message: `${planned} results were planned, ${seen} found`,
      });
    this.#levels.pop();
    const above = this.#levels.at(-1);
    if (above) above.waiting.push(...level.waiting);
    else for (const nested of level.waiting) this.#pass(nested);
  }

  #leave(depth: number): void {
    while (this.#levels.length > depth) this.#closeTop();
    this.#flush();
    this.#last = undefined;
  }

  /** A result at the top level waits for diagnostics; a nested one also for the name of its test. */
  #addCase(testCase: TestCase, path: string[] = []): void {
    if (this.#levels.length <= 1) {
      this.#pass({ path, testCase });
      return;
    }
    const above = this.#levels.at(-2)!;
    if (above.waiting.length >= TAP_WAITING_MAX_CASES)
      for (const each of above.waiting.splice(0)) this.#pass(each);
    above.waiting.push({ path, testCase });
  }

  /** The previous case is complete now. */
  #pass(nested: NestedCase): void {
    this.#flush();
    this.#ready = nested;
  }

  #flush(): void {
    if (!this.#ready) return;
    const { path, testCase } = this.#ready;
    this.#ready = undefined;
    this.#suite.add({ ...testCase, classname: path.length > 0 ? path.join(".") : this.#suite.name });
  }
}

function createLevel(indent: string): Level {
  return { indent, seen: 0, waiting: [] };
}

function isUntouched({ seen, planned }: Level): boolean {
  return seen === 0 && planned === undefined;
}

/** A result indented by blanks starts a level only if it has a number, as generated ones have. */
function isSubtest({ indent, number }: TapLine & TapResult): boolean {
  return !indent.includes("#") && number !== undefined;
}

function isFailure({ outcome }: TestCase): boolean {
  return outcome === "failed" || outcome === "error";
}

function addDiagnostic(diagnostics: Diagnostics, text: string): void {
  if (
    diagnostics.characters + text.length > JUNIT_DETAILS_MAX_CHARS ||
    diagnostics.lines.length >= TAP_DIAGNOSTIC_LINES
  )
    return;
  diagnostics.characters += text.length;
  diagnostics.lines.push(text);
  if (isFailure(diagnostics.testCase)) diagnostics.testCase.details = diagnostics.lines.join("\n");
}
