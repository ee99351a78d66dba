/** Samples of every format, made after their specifications, against the JUnit file that is made of each (test/golden/junit). */
import { readdirSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { createDeqpReader } from "../../../agent/junit/deqp-csv.ts";
import { detectFormat } from "../../../agent/junit/detect-format.ts";
import { createLineReader } from "../../../agent/junit/line-reader.ts";
import { createTapReader } from "../../../agent/junit/tap-reader.ts";
import { createTestReport } from "../../../agent/junit/test-case.ts";
import { readJunitXml } from "../../../agent/junit/xml-reader.ts";
import { writeJunitXml } from "../../../agent/junit/xml-writer.ts";

const SAMPLES = new URL("../../golden/junit/", import.meta.url);
const names = readdirSync(SAMPLES).filter((name) => !name.startsWith("junit-of-"));

function convert(name: string, bytes: Buffer, chunkBytes: number): string {
  const report = createTestReport();
  const suite = report.suite(name);
  const format = detectFormat(name, bytes.toString(), { isCut: false });
  if (format === "junit") {
    const problem = readJunitXml(bytes.toString(), { suite: (own) => report.suite(own ?? name) });
    expect(problem).toBeUndefined();
  } else {
    const sink = format === "deqp" ? createDeqpReader(suite) : createTapReader(suite, { needsVersion: true });
    const reader = createLineReader(sink);
    for (let at = 0; at < bytes.length; at += chunkBytes) reader.write(bytes.subarray(at, at + chunkBytes));
    reader.end();
  }
  return [...writeJunitXml(report, { name: "dutboot" })].join("");
}

it.each(names)("%s", async (name) => {
  const bytes = readFileSync(new URL(name, SAMPLES));
  const made = convert(name, bytes, bytes.length);
  await expect(made).toMatchFileSnapshot(`../../golden/junit/junit-of-${name}.xml`);
  // However the bytes come.
  expect(convert(name, bytes, 7)).toBe(made);
  // What we write, others read.
  expect(detectFormat("a.xml", made, { isCut: false })).toBe("junit");
  expect(convert("a.xml", Buffer.from(made), made.length).match(/<testcase/g)).toHaveLength(
    made.match(/<testcase/g)!.length,
  );
});
