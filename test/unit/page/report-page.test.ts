import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { describeVerdict } from "../../../agent/page/describe-verdict.ts";
import { formatBytes, formatDuration, html, shortenName } from "../../../agent/page/html.ts";
import { summarizeJob } from "../../../agent/page/job-summary.ts";
import { readLogTail } from "../../../agent/page/log-tail.ts";
import { formatReportPage } from "../../../agent/page/report-page.ts";
import { createTimeAxis } from "../../../agent/page/timeline.ts";
import { HOSTILE, PASS_EVENTS, readFacts, SAMPLE_INPUTS, writeEvents } from "./sample-boots.ts";

/** A page is too long to be printed for each text that it lacks. */
const lacks = (page: string, texts: readonly string[]) => texts.filter((text) => !page.includes(text));

describe("report.html", () => {
  it("shows the verdict first, and all important facts", () => {
    const page = formatReportPage(SAMPLE_INPUTS.pass);
    expect(
      lacks(page, [
        ...["<h1>Pass</h1>", "exit code 0", "registry.farm/mesa/vulkan:2026-11-20", "boot 1a2b3c4d"],
        ...["12,150", "117.2 MB", "196.4 MB", "deqp-runner suite --jobs 8", "kernel", "reused"],
        ...["no time server answered", "podman run --rm", "AMD Ryzen 7", "5.9 GB", "verdict.json"],
      ]),
    ).toEqual([]);
  });

  it.each(Object.entries(SAMPLE_INPUTS))("loads and runs nothing: %s", (_name, input) => {
    const page = formatReportPage(input);
    const [, style] = /<style>(.*?)<\/style>/s.exec(page)!;
    const hash = createHash("sha256").update(style!).digest("base64");
    expect(lacks(page, [`default-src &#39;none&#39;; style-src &#39;sha256-${hash}&#39;`])).toEqual([]);
    expect(page.match(/<(?:script|img|iframe|object)|<[^>]*\s(?:on\w+|style)=|url\(|@import/i) ?? []).toEqual(
      [],
    );
    // What is in the test's words is text alone.
    const links = new Set(page.match(/(?:href|src)="[^"]*"/g));
    expect([...links]).toEqual([expect.stringMatching(/^href="data:image\/svg\+xml,/), 'href="#grid"']);
    expect(page.match(/[\x00-\x08\x0b-\x1f\x7f\u202e]/) ?? []).toEqual([]);
  });

  it("escapes hostile text", () => {
    const page = formatReportPage(SAMPLE_INPUTS.error);
    expect(lacks(page, ["&lt;script&gt;document.title=&quot;owned&quot;&lt;/script&gt;"])).toEqual([]);
    expect(lacks(page, ["&amp;amp;"])).toEqual([]);
  });

  it("stays small for every job", () => {
    for (const input of Object.values(SAMPLE_INPUTS))
      expect(Buffer.byteLength(formatReportPage(input))).toBeLessThan(300_000);
  });

  it("says how much it omits", () => {
    const page = formatReportPage(SAMPLE_INPUTS.big);
    expect(
      lacks(page, [
        "and 370 shorter ones",
        "more in <code>events.jsonl</code>",
        "lines of <code>dutboot.log",
      ]),
    ).toEqual([]);
  });

  it("can be made for a boot that left nothing", () => {
    const page = formatReportPage({
      facts: readFacts(""),
      log: readLogTail("", { isCut: false }),
      isBeforeUpload: false,
    });
    expect(lacks(page, ["<h1>No verdict</h1>"])).toEqual([]);
  });
});

describe("facts", () => {
  it("can be read from a truncated file and from no file", () => {
    for (let length = 0; length < PASS_EVENTS.length; length += 97) readFacts(PASS_EVENTS.slice(0, length));
    const odd = [
      "1",
      "null",
      "[]",
      '{"level":"warn"}',
      '{"v":1,"event":"sample"}',
      '{"v":1,"event":"step_end","id":7}',
    ];
    const odder = ["transfer", "report", "phase_end", "machine", "start"].map(
      (event) => `{"v":1,"event":"${event}","uptimeMs":"1","name":{},"topic":"tests","lines":3}`,
    );
    const facts = readFacts([...odd, ...odder].join("\n"));
    formatReportPage({ facts, log: readLogTail("", { isCut: false }), isBeforeUpload: false });
  });

  it("show how far a boot without an end came", () => {
    const facts = readFacts(
      writeEvents([
        [1000, { event: "start", agent: "0.1.0", bootId: "1" }],
        [2000, { event: "phase_start", phase: "run" }],
        [31_040, { event: "sample", memoryUsedBytes: 1, memoryTotalBytes: 2, cpuPercent: 3 }],
      ]),
    );
    expect(describeVerdict(undefined, facts).subtitle).toBe(
      "The machine never finished; partial results up to phase run at 31.0 s",
    );
  });
});

it("escapes every value of a template", () => {
  expect(html`<a title="${'"'}">${HOSTILE}${[1, html`<b>`]}${undefined}${false}</a>`.text).toBe(
    '<a title="&quot;">&lt;/pre&gt;&lt;/title&gt;&lt;/style&gt;&quot;&#39;&gt;&lt;script&gt;document.title=&quot;owned&quot;&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&amp;amp;1<b></a>',
  );
});

it("shows the last lines of a log, each in its last state", () => {
  expect(readLogTail("a half line\n10 %\r100 %\r\n\nlast\n", { isCut: true })).toEqual({
    lines: ["100 %", "", "last"],
    isCut: true,
  });
  expect(readLogTail("1\n".repeat(300), { isCut: false }).lines).toHaveLength(200);
});

it("divides time like a clock", () => {
  const labels = (endMs: number) => createTimeAxis(endMs).ticks.map(({ label }) => label);
  expect(labels(0)).toEqual(["0"]);
  expect(labels(900)).toEqual(["0", "0.2 s", "0.4 s", "0.6 s", "0.8 s"]);
  expect(labels(61_400)).toEqual(["0", "15 s", "30 s", "45 s"]);
  expect(labels(130_000)).toEqual(["0", "30 s", "1:00", "1:30", "2:00"]);
  expect(labels(7_000_000)).toEqual(["0", "30 min", "60 min", "90 min"]);
  expect(labels(32_000_000)).toEqual(["0", "2 h", "4 h", "6 h", "8 h"]);
});

it("formats numbers and names for people", () => {
  expect([0, 999, 1500, 72_900_000, 1.6e9].map(formatBytes)).toEqual([
    "0 B",
    "999 B",
    "1.5 kB",
    "72.9 MB",
    "1.6 GB",
  ]);
  expect([420, 99_949, 100_000, 7_500_000].map(formatDuration)).toEqual([
    "0.4 s",
    "99.9 s",
    "1 min 40 s",
    "2 h 5 min",
  ]);
  expect(shortenName(`sha256:${"ab".repeat(32)}`, 60)).toBe("sha256:abababababab");
  expect(shortenName(`r/i:1@sha256:${"ab".repeat(32)}`, 60)).toBe("r/i:1@sha256:abababababab");
});

it("finds a job's root", () => {
  expect(summarizeJob({ job: { root: { image: "r/i:1" }, results: { s3: "s3://b/p" } } })).toEqual({
    root: "r/i:1",
    results: "s3://b/p",
  });
  expect(summarizeJob({ job: { root: { nfs: { server: "s", path: "/p" } } } })).toEqual({
    root: "nfs://s/p",
  });
  expect(summarizeJob({ job: { steps: [{ image: "i" }] } })).toEqual({ root: "i" });
  for (const odd of [undefined, null, 1, [], { job: null }, { job: { root: 1, steps: 2, results: "x" } }])
    expect(summarizeJob(odd)).toEqual({});
});
