/** Samples that were cut, mixed and sprinkled with odd bytes, in random pieces: never a throw, and always XML that reads back with every case. */
import { randomBytes, randomInt } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { XMLValidator } from "fast-xml-parser";
import { expect, it } from "vitest";
import { createDeqpReader } from "../../../agent/junit/deqp-csv.ts";
import { createLineReader } from "../../../agent/junit/line-reader.ts";
import { createTapReader } from "../../../agent/junit/tap-reader.ts";
import { createTestReport, type TestReport } from "../../../agent/junit/test-case.ts";
import { readJunitXml } from "../../../agent/junit/xml-reader.ts";
import { writeJunitXml } from "../../../agent/junit/xml-writer.ts";

const SAMPLES = new URL("../../golden/junit/", import.meta.url);
const samples = readdirSync(SAMPLES).map((name) => readFileSync(new URL(name, SAMPLES)));
const PIECES = [
  ..."<>&\"'#\n\r\t\0\x1b ",
  "TAP version 13\n",
  "    KTAP version 1\n",
  "# TAP version 13\n",
  "1..3\n",
  "    1..0 # SKIP\n",
  "# 1..2\n",
  "not ok 1 - a # TODO\n",
  "        ok 2\n",
  "  ---\n",
  "  ...\n",
  "Bail out!",
  "[    1.000000] ",
  "<testsuite>",
  '<testcase name="',
  "</testcase>",
  "<![CDATA[",
  "]]>",
  "<!--",
  "-->",
  "&#0;",
  "&#xd800;",
  "&lt;",
  "a,Pass,1e-5\n",
  "b,UnexpectedImprovement(Fail)\n",
].map((text) => Buffer.from(text));

const pick = <Item>(items: readonly Item[]) => items[randomInt(items.length)]!;

function damage(sample: Buffer): Buffer {
  let bytes = sample;
  for (let times = randomInt(6); times > 0; times--) {
    const at = randomInt(bytes.length + 1);
    const to = Math.min(bytes.length, at + randomInt(40));
    const piece = pick([
      pick(PIECES),
      randomBytes(randomInt(4)),
      pick(samples).subarray(0, randomInt(200)),
      Buffer.alloc(0),
    ]);
    bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(to)]);
  }
  return bytes;
}

function check(report: TestReport, seed: Buffer): void {
  const text = [...writeJunitXml(report, { name: "dutboot" })].join("");
  const why = () => seed.toString("latin1");
  expect(XMLValidator.validate(text), why()).toBe(true);
  expect(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Surrogate}/u.test(text), why()).toBe(false);
  const again = createTestReport();
  expect(readJunitXml(text, { suite: (name) => again.suite(name ?? "none") }), why()).toBeUndefined();
  expect(again.counts, why()).toEqual(report.counts);
}

it("survives any results of a test", () => {
  for (let round = 0; round < 3_000; round++) {
    const bytes = damage(pick(samples));
    const report = createTestReport();
    const sinks = [
      createDeqpReader(report.suite("csv")),
      createTapReader(report.suite("tap"), { needsVersion: true }),
      createTapReader(report.suite("file"), { needsVersion: false }),
    ].map((sink) => createLineReader(sink));
    for (let at = 0; at < bytes.length; ) {
      const chunk = bytes.subarray(at, at + 1 + randomInt(300));
      for (const sink of sinks) sink.write(chunk);
      at += chunk.length;
    }
    for (const sink of sinks) sink.end();
    readJunitXml(bytes.toString(), { suite: (name) => report.suite(name ?? "xml") });
    check(report, bytes);
  }
});
