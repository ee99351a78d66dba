/**
 * Writes the report as JUnit XML that GitLab shows (docs.gitlab.com, "Unit test reports"): it tells cases apart by classname and name,
 * takes the reason from the failure's text, and knows no counts but its own. What is left out is counted in properties.
 */
import { createHash } from "node:crypto";
import type { Counts, ListedSuite, TestCase, TestReport } from "./test-case.ts";
import { escapeXmlAttribute, escapeXmlText } from "./xml-text.ts";

/** In pieces, so that nobody needs the whole in one. */
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
    const leftOut = counts[outcome] - kept[outcome];
    if (leftOut > 0)
      properties.push([`left_out.${outcome}`, `${leftOut} of ${counts[outcome]} are left out of this file`]);
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
    name: nameOnce(testCase.name, classname, seen),
    time: timeSeconds === undefined ? undefined : formatSeconds(timeSeconds),
    file,
  });
  const inner: string[] = [];
  if (outcome !== "passed") {
    const element = ELEMENTS[outcome];
    const opening = `<${element}${formatAttributes({ message })}`;
    // Some readers show the text alone, some the message alone.
    const text = [message, details].filter(Boolean).join("\n");
    inner.push(
      text && element !== "skipped" ? `${opening}>${escapeXmlText(text)}</${element}>` : `${opening}/>`,
    );
  }
  if (output) inner.push(`<system-out>${escapeXmlText(output)}</system-out>`);
  if (inner.length === 0) return `    <testcase${attributes}/>\n`;
  return `    <testcase${attributes}>\n${inner.map((line) => `      ${line}\n`).join("")}    </testcase>\n`;
}

/** GitLab takes the first of two cases with the same name and drops the other. */
function nameOnce(name: string, classname: string, seen: Map<string, number>): string {
  const key = createHash("sha1").update(`${classname}\0${name}`).digest("base64");
  const times = (seen.get(key) ?? 0) + 1;
  seen.set(key, times);
  return times === 1 ? name : `${name} (${times})`;
}

function formatSeconds(seconds: number): string {
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

/** Of what is written: a reader compares. */
function countCases(cases: readonly TestCase[]) {
  const { failed, error, skipped } = countOutcomes(cases);
  const seconds = cases.reduce((all, { timeSeconds = 0 }) => all + timeSeconds, 0);
  return { tests: cases.length, failures: failed, errors: error, skipped, time: formatSeconds(seconds) };
}

function sum({ passed, failed, error, skipped }: Counts): number {
  return passed + failed + error + skipped;
}
