/** What is hostile or too much: broken and deep XML, bytes that XML has no place for, a million results, lines without an end. */
import { XMLParser, XMLValidator } from "fast-xml-parser";
import { describe, expect, it } from "vitest";
import { createDeqpReader, parseDeqpLine } from "../../../agent/junit/deqp-csv.ts";
import { detectFormat, dropDuplicateReports, mayHoldResults } from "../../../agent/junit/detect-format.ts";
import { createLineReader } from "../../../agent/junit/line-reader.ts";
import { formatSummary, summarizeTests } from "../../../agent/junit/summary.ts";
import { createTapReader } from "../../../agent/junit/tap-reader.ts";
import { createTestReport, type TestCase } from "../../../agent/junit/test-case.ts";
import { readJunitXml } from "../../../agent/junit/xml-reader.ts";
import { writeJunitXml } from "../../../agent/junit/xml-writer.ts";

function readXml(text: string) {
  const report = createTestReport();
  const problem = readJunitXml(text, { suite: (name) => report.suite(name ?? "none") });
  return { report, problem };
}

const write = (report: ReturnType<typeof createTestReport>) =>
  [...writeJunitXml(report, { name: "dutboot" })].join("");

describe("XML that is refused", () => {
  it.each([
    ["nothing", ""],
    ["another root", "<html><testsuite/></html>"],
    ["a root that begins like ours", "<testsuiteness/>"],
    ["cut in the middle", '<testsuites><testsuite name="a"><testcase name="b"/>'],
    ["two ends", "<testsuites></testsuites></testsuites>"],
    ["an attribute without quotes", "<testsuites a=b></testsuites>"],
    ["a document type", '<!DOCTYPE testsuites [<!ENTITY a "b">]><testsuites/>'],
    ["depth", `<testsuites>${"<testsuite>".repeat(100_000)}`],
    ["comments without an end", `${"<!--a-->".repeat(50_000)}<!--`],
  ])("%s", (_what, text) => {
    const startedAt = performance.now();
    const { report, problem } = readXml(text);
    expect(problem).toBeTypeOf("string");
    expect(report.list()).toEqual([]);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });

  it("expands no entity of the document's own", () => {
    const laughs = Array.from({ length: 10 }, (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`).join(
      "",
    );
    const text = `<testsuites><!DOCTYPE x [<!ENTITY l0 "ha">${laughs}]><testcase name="&l10;&amp;amp;&#65;&#x110000;"/></testsuites>`;
    const { report, problem } = readXml(text);
    if (problem === undefined) expect(report.list()[0]!.cases[0]!.name).toBe("&l10;&amp;A&#x110000;");
  });
});

it("accepts a suite without names and counts, and unknown attributes", () => {
  const { report, problem } = readXml(
    '<testsuite><testcase __proto__="x" constructor="y" time="-1"/><testcase name="" time="NaN"><failure/></testcase></testsuite>',
  );
  expect(problem).toBeUndefined();
  expect(report.list()[0]!.cases).toEqual([
    { name: "no name", outcome: "passed" },
    { name: "no name", outcome: "failed" },
  ]);
});

it("writes nothing that XML 1.0 has no place for", () => {
  const report = createTestReport();
  const odd = "a\0b\x1b[31mc\x08]]>\ud800<&\"'\ufffe\r\n\t\u0085é😀";
  report
    .suite(odd)
    .add({ name: odd, classname: odd, outcome: "failed", message: odd, details: odd, output: odd });
  const text = write(report);
  expect(XMLValidator.validate(text)).toBe(true);
  expect(text).not.toMatch(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Surrogate}/u);
  const read = new XMLParser({ ignoreAttributes: false }).parse(text);
  expect(read.testsuites.testsuite.testcase["@_name"]).toContain("a\ufffdbc\ufffd]]>\ufffd<&\"'\ufffd");
  expect(read.testsuites.testsuite.testcase["@_name"]).toContain("é😀");
});

it("renames cases of the same name", () => {
  const report = createTestReport();
  for (let i = 0; i < 3; i++) report.suite("s").add({ name: "a", outcome: "passed" });
  expect([...write(report).matchAll(/ name="(a[^"]*)"/g)].map(([, name]) => name)).toEqual([
    "a",
    "a (2)",
    "a (3)",
  ]);
});

describe("too many cases", () => {
  it("omits passes first, then skipped ones, and says how many", () => {
    const report = createTestReport({ maxCases: 3 });
    const add = (outcome: TestCase["outcome"], times: number) => {
      for (let i = 0; i < times; i++) report.suite("s").add({ name: `${outcome} ${i}`, outcome });
    };
    add("passed", 5);
    add("skipped", 2);
    add("failed", 2);
    const text = write(report);
    expect([...text.matchAll(/<testcase[^>]* name="([^"]*)"/g)].map(([, name]) => name)).toEqual([
      "skipped 0",
      "failed 0",
      "failed 1",
    ]);
    expect(text).toContain('name="left_out.passed" value="5 of 5 are omitted from this file"');
    expect(text).toContain('name="left_out.skipped" value="1 of 2 are omitted from this file"');
  });

  it("does not exceed the limit of bytes, whatever the size of failures", () => {
    const report = createTestReport({ maxBytes: 1_000_000 });
    for (let i = 0; i < 20_000; i++)
      report
        .suite("s")
        .add({ name: `${i} ${"n".repeat(2_000)}`, outcome: "failed", details: "d".repeat(20_000) });
    const text = write(report);
    expect(text.length).toBeLessThan(1_500_000);
    expect(report.counts.failed).toBe(20_000);
  });

  it("reads hundreds of thousands of deqp-runner's results in little memory", () => {
    const report = createTestReport();
    const reader = createLineReader(createDeqpReader(report.suite("results.csv")));
    const lines = Array.from(
      { length: 10_000 },
      (_, i) => `dEQP-VK.group.${i}.case,${i % 1000 ? "Pass" : "Fail"},0.01\n`,
    );
    const chunk = Buffer.from(lines.join(""));
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 40; i++) reader.write(chunk);
    reader.end();
    expect(report.counts).toEqual({ passed: 399_600, failed: 400, error: 0, skipped: 0 });
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(150e6);
    expect(write(report).match(/<failure/g)).toHaveLength(400);
    expect(formatSummary(summarizeTests(report.counts, ["deqp-runner"]))).toBe(
      "400,000 tests: 399,600 passed, 400 failed, 0 skipped (deqp-runner)",
    );
  });

  it("cuts a line that has no end", () => {
    const lines: string[] = [];
    const reader = createLineReader({ line: (text) => lines.push(text), end() {} }, { maxBytes: 10 });
    for (let i = 0; i < 100; i++) reader.write(Buffer.from("0123456"));
    reader.write(Buffer.from("\nshort\r\n\n\xff"));
    reader.end();
    expect(lines).toEqual(["0123456012", "short", "", "ÿ"]);
  });

  it("holds no more subtests than it must", () => {
    const report = createTestReport();
    const reader = createTapReader(report.suite("t"), { needsVersion: true });
    reader.line("KTAP version 1");
    for (let i = 0; i < 100_000; i++) reader.line(`  ok ${i + 1} case`);
    reader.line("1..1");
    reader.end();
    expect(report.counts.passed).toBe(100_000);
  });
});

describe("formats", () => {
  it.each([
    ["results.csv", "a.b,Pass,0.1\n", "deqp"],
    ["out/failures.csv", "a.b,Crash\n", "deqp"],
    ["results.csv", "a.b,Pass,0.1\nc.d,Fa", "deqp"],
    ["results.csv", "test,status\na,b\n", undefined],
    ["results.csv", "", undefined],
    ["table.csv", "name,Pass,grade\n", undefined],
    ["junit.xml", "<testsuites/>", "junit"],
    ["junit.xml", "\ufeff<?xml version='1.0'?>\n<!-- a --> <testsuite name='x'>", "junit"],
    ["other.xml", "<Pass/>", undefined],
    ["out.tap", "ok 1 - a\n1..1\n", "tap"],
    ["out.txt", "ok 1 - a\n1..1\n", undefined],
    ["out.txt", "boot\nTAP version 13\nok 1 - a\n", "tap"],
    ["stdout", "[    1.000000] KTAP version 1\n", "tap"],
    ["notes.txt", "KTAP version 1 is a format\n", undefined],
  ])("%s: %j", (name, head, format) => {
    expect(mayHoldResults(name)).toBe(true);
    expect(detectFormat(name, head, { isCut: false })).toBe(format);
  });

  it("opens nothing that can be no result", () => {
    expect(["a.png", "core.gz", "trace.bin"].filter(mayHoldResults)).toEqual([]);
  });

  it("ignores failures.csv if there is results.csv", () => {
    expect(
      dropDuplicateReports(["a/failures.csv", "a/results.csv", "b/failures.csv", "failures.csv"]),
    ).toEqual(["a/results.csv", "b/failures.csv", "failures.csv"]);
  });

  it.each([
    ["a,Pass", { test: "a", status: "Pass" }],
    ["a,b,Fail,1.5", { test: "a,b", status: "Fail", seconds: 1.5 }],
    ["a,UnexpectedImprovement(Pass),1", { test: "a", status: "UnexpectedImprovement(Pass)", seconds: 1 }],
    [",Pass", undefined],
    ["a,Pass,", undefined],
    ["a,Pass,soon", undefined],
    ["a,toString", undefined],
    ["", undefined],
  ])("deqp-runner's %j", (line, result) => {
    expect(parseDeqpLine(line)).toEqual(result);
  });
});

it("ignores lines of a log before a version line", () => {
  const report = createTestReport();
  const reader = createTapReader(report.suite("log"), { needsVersion: true });
  for (const line of ["1..2", "ok 1 - a", "not ok 2", "Bail out!", "TAP version 13 is not this"])
    reader.line(line);
  reader.end();
  expect(report.counts).toEqual({ passed: 0, failed: 0, error: 0, skipped: 0 });
});
