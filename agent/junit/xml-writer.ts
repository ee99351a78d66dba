/**
 * Writes the report as JUnit XML for GitLab (docs.gitlab.com, "Unit test reports"), which identifies cases by classname and name, takes the
 * reason from the failure's text, and counts the cases itself. Omitted cases are counted in properties.
 */
import { createHash } from "node:crypto";
import type { Counts, ListedSuite, TestCase, TestReport } from "./test-case.ts";
import { escapeXmlAttribute, escapeXmlText } from "./xml-text.ts";

export function* writeJunitXml(report: TestReport, { name }: { name: string }): Generator<string> {
  const suites = report.list().filter(({ counts }) => sum(counts) > 0);
  const written = suites.flatMap(({ cases }) => cases);
  const seen = new Map<string, number>();
  yield '<?xml version="1.0" encoding="UTF-8"?>\n';
  yield `<testsuites${formatAttributes({ name, ...countCases(written) })}>\n`;
  for (const suite of suites) {
    yield `  <testsuite${formatAttributes({ name: suite.name, ...countCases(suite.cases) })}>\n`;
    yield formatProperties(suite);
    for (const testCase of suite.cases) yield formatCase(testCase, suite.name, seen);
    yield "  </testsuite>\n";
  }
  yield "</testsuites>\n";
}

function formatProperties({ counts, cases, notes }: ListedSuite): string {
  const kept = countOutcomes(cases);
  const properties: [string, string][] = notes.map((note) => ["note", note]);
  for (const outcome of ["passed", "failed", "error", "skipped"] as const) {
    const omitted = counts[outcome] - kept[outcome];
    if (omitted > 0)
      properties.push([`left_out.${outcome}`, `${omitted} of ${counts[outcome]} are omitted from this file`]);
  }
  if (properties.length === 0) return "";
  const lines = properties.map(([name, value]) => `      <property${formatAttributes({ name, value })}/>\n`);
  return `    <properties>\n${lines.join("")}    </properties>\n`;
}

const ELEMENTS = { failed: "failure", error: "error", skipped: "skipped" } as const;

function formatCase(testCase: TestCase, suiteName: string, seen: Map<string, number>): string {
  const { outcome, message, details, output, timeSeconds, file, classname = suiteName } = testCase;
  const attributes = formatAttributes({
    classname,
    name: makeUnique(testCase.name, classname, seen),
    time: timeSeconds === undefined ? undefined : formatTime(timeSeconds),
    file,
  });
  const inner: string[] = [];
  if (outcome !== "passed") {
    const element = ELEMENTS[outcome];
    const opening = `<${element}${formatAttributes({ message })}`;
    // Some readers show only the text, some only the message.
    const text = [message, details].filter(Boolean).join("\n");
    inner.push(
      text && element !== "skipped" ? `${opening}>${escapeXmlText(text)}</${element}>` : `${opening}/>`,
    );
  }
  if (output) inner.push(`<system-out>${escapeXmlText(output)}</system-out>`);
  if (inner.length === 0) return `    <testcase${attributes}/>\n`;
  return `    <testcase${attributes}>\n${inner.map((line) => `      ${line}\n`).join("")}    </testcase>\n`;
}

/** GitLab drops all but the first of several cases with the same name. */
function makeUnique(name: string, classname: string, seen: Map<string, number>): string {
  const key = createHash("sha1").update(`${classname}\0${name}`).digest("base64");
  const times = (seen.get(key) ?? 0) + 1;
  seen.set(key, times);
  return times === 1 ? name : `${name} (${times})`;
}

function formatTime(seconds: number): string {
  return Number.isFinite(seconds) ? Math.min(seconds, 1e9).toFixed(3) : "0.000";
}

function formatAttributes(attributes: Readonly<Record<string, string | number | undefined>>): string {
  return Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}="${escapeXmlAttribute(String(value))}"`)
    .join("");
}

function countOutcomes(cases: readonly TestCase[]): Counts {
  const counts: Counts = { passed: 0, failed: 0, error: 0, skipped: 0 };
  for (const { outcome } of cases) counts[outcome]++;
  return counts;
}

/** Of the cases in the file, with which readers compare. */
function countCases(cases: readonly TestCase[]) {
  const { failed, error, skipped } = countOutcomes(cases);
  const seconds = cases.reduce((all, { timeSeconds = 0 }) => all + timeSeconds, 0);
  return { tests: cases.length, failures: failed, errors: error, skipped, time: formatTime(seconds) };
}

function sum({ passed, failed, error, skipped }: Counts): number {
  return passed + failed + error + skipped;
}
