/**
 * Boots as their events tell them, for tests of the page and of `dutboot results`: a plain pass, an error whose every text is
 * hostile, and a job with more of everything than a page can show.
 */
import { readLogTail } from "../../../agent/page/log-tail.ts";
import { createFactsReader, type ReportFacts } from "../../../agent/page/report-facts.ts";
import type { ReportInput } from "../../../agent/page/report-page.ts";
import type { Verdict } from "../../../agent/wire/verdict.ts";

type Body = Readonly<Record<string, unknown>>;

/** Lines as in `events.jsonl`. */
export function writeEvents(rows: readonly (readonly [uptimeMs: number, body: Body])[]): string {
  let seq = 0;
  return rows
    .map(([uptimeMs, body]) =>
      "event" in body ? { v: 1, seq: seq++, uptimeMs, ...body } : { level: "info", uptimeMs, ...body },
    )
    .map((line) => `${JSON.stringify(line)}\n`)
    .join("");
}

export function readFacts(events: string): ReportFacts {
  const reader = createFactsReader();
  for (const line of events.split("\n")) reader.add(line);
  return reader.facts;
}

/** Text that breaks out of wherever it is put, if it can. */
export const HOSTILE = `</pre></title></style>"'><script>document.title="owned"</script><img src=x onerror=alert(1)>\u202e\x1b[31m&amp;`;

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const phase = (name: string, startMs: number, endMs: number, outcome = "done") =>
  [
    [startMs, { event: "phase_start", phase: name }],
    [endMs, { event: "phase_end", phase: name, outcome, durationMs: endMs - startMs }],
  ] as const;
const transfer = (endMs: number, durationMs: number, name: string, fetchedBytes: number, reusedBytes = 0) =>
  [endMs, { event: "transfer", kind: "layer", name, fetchedBytes, reusedBytes, durationMs }] as const;
const machine = {
  event: "machine",
  kernel: "6.12.43+deb13-cloud-amd64",
  architecture: "x86_64",
  cpu: "AMD Ryzen 7 5800X 8-Core Processor",
  ramBytes: 16_600_000_000,
};
const samples = (
  fromMs: number,
  toMs: number,
  used: (share: number) => number,
  cpu: (share: number) => number,
) =>
  Array.from({ length: Math.floor((toMs - fromMs) / 2000) + 1 }, (_, at) => {
    const atMs = fromMs + at * 2000;
    const share = at / Math.max(1, (toMs - fromMs) / 2000);
    return [
      atMs,
      {
        event: "sample",
        memoryUsedBytes: Math.round(used(share)),
        memoryTotalBytes: 16_600_000_000,
        cpuPercent: Math.round(cpu(share) * 10) / 10,
      },
    ] as const;
  });

const byTime = <Row extends readonly [number, Body]>(rows: readonly Row[]) =>
  rows.toSorted(([a], [b]) => a - b);

export const PASS_EVENTS = writeEvents(
  byTime([
    [3200, { event: "start", agent: "0.1.0", bootId: "1a2b3c4d" }],
    [3210, machine],
    ...phase("machine", 3250, 5600),
    ...phase("fetch", 5620, 17_900),
    transfer(6100, 420, digest("9f3c1e5a"), 0, 31_400_000),
    transfer(12_400, 6700, digest("b7d04c21"), 72_900_000),
    transfer(17_850, 11_100, digest("4e5f6a7b"), 38_200_000, 121_000_000),
    ...phase("assemble", 17_920, 18_600),
    ...phase("artifact", 18_610, 22_700),
    [
      22_650,
      {
        event: "transfer",
        kind: "archive",
        name: "install.tar.zst",
        fetchedBytes: 6_100_000,
        reusedBytes: 44_000_000,
        durationMs: 3900,
      },
    ],
    ...phase("run", 22_720, 61_300),
    [22_800, { event: "step_start", id: "step-1", kind: "service", name: "registry.farm/telegraf:1" }],
    [23_100, { event: "step_start", id: "step-2", kind: "main", name: "deqp-runner suite --jobs 8" }],
    [61_000, { event: "step_end", id: "step-2", exitCode: 0, durationMs: 37_900 }],
    [61_200, { event: "step_end", id: "step-1", exitCode: 143, durationMs: 38_400 }],
    ...samples(
      3300,
      61_300,
      (share) => 4e8 + 5.2e9 * Math.min(1, share * 1.6) + 3e8 * Math.sin(share * 40),
      (share) => (share < 0.3 ? 30 + 25 * Math.sin(share * 60) : 88 + 9 * Math.sin(share * 90)),
    ),
    [5300, { level: "warn", msg: "clock: no time server answered; the time is that of the build" }],
    [
      61_350,
      {
        event: "report",
        topic: "tests",
        total: 12_204,
        passed: 12_150,
        failed: 0,
        skipped: 54,
        sources: ["deqp-runner"],
      },
    ],
    [
      61_360,
      {
        event: "report",
        topic: "reproduce",
        lines: [
          "reproduce with podman: podman run --rm -it --privileged --network=host --entrypoint /bin/sh registry.farm/mesa/vulkan:2026-11-20",
          `reproduce in QEMU: npx dutboot boot -- 'dut.image=registry.farm/mesa/vulkan:2026-11-20 dut.run="deqp-runner suite --jobs 8"'`,
        ],
      },
    ],
    ...phase("upload", 61_320, 61_400).slice(0, 1),
  ]),
);

const hostileName = (at: number) => `${HOSTILE}${at}`;

export const ERROR_EVENTS = writeEvents(
  byTime([
    [2900, { event: "start", agent: HOSTILE, bootId: "deadbeef" }],
    [2910, { ...machine, cpu: HOSTILE, kernel: HOSTILE }],
    ...phase("machine", 2950, 4100),
    ...phase("fetch", 4150, 64_800, "failed"),
    transfer(9000, 4700, hostileName(1), 1_000_000),
    transfer(64_800, 55_000, `${"long-name-without-a-space".repeat(20)}.tar.zst`, 3_000_000),
    ...samples(
      2950,
      64_800,
      () => 6e8,
      (share) => 12 + 5 * Math.sin(share * 70),
    ),
    ...Array.from(
      { length: 7 },
      (_, at) =>
        [
          5000 + at * 8000,
          { level: at === 6 ? "error" : "warn", msg: `fetch: attempt ${at + 1} failed: ${HOSTILE}` },
        ] as const,
    ),
  ]),
);

const BIG_EVENTS = writeEvents(
  byTime([
    [4000, { event: "start", agent: "0.1.0", bootId: "0badcafe" }],
    [4010, machine],
    ...phase("machine", 4050, 9000),
    ...phase("fetch", 9010, 600_000),
    ...Array.from({ length: 400 }, (_, at) =>
      transfer(10_500 + at * 1400, 1300, `"'&<>`.repeat(60) + at, 1e6 * at, 5e5 * at),
    ),
    ...phase("run", 600_100, 32_000_000),
    ...Array.from(
      { length: 300 },
      (_, at) =>
        [
          [
            600_200 + at * 100_000,
            { event: "step_start", id: `s${at}`, kind: "main", name: `<b>&"'`.repeat(80) },
          ],
          [690_000 + at * 100_000, { event: "step_end", id: `s${at}`, exitCode: at % 5, durationMs: 89_800 }],
        ] as const,
    ).flat(),
    ...Array.from(
      { length: 2000 },
      (_, at) => [600_000 + at * 1000, { level: "warn", msg: `"'&<>`.repeat(400) }] as const,
    ),
    ...samples(
      4000,
      4_000_000,
      (share) => 1.66e10 * share,
      (share) => 100 * share,
    ),
    [
      32_000_100,
      {
        event: "report",
        topic: "tests",
        total: 1_204_311,
        passed: 1_180_000,
        failed: 4311,
        skipped: 20_000,
        sources: ["deqp-runner", "TAP"],
      },
    ],
    [32_000_200, { event: "report", topic: "reproduce", lines: Array(50).fill(`"'&<>`.repeat(2000)) }],
  ]),
);

const PHASES: Verdict["phases"] = [];
export const PASS_VERDICT: Verdict = {
  version: 1,
  verdict: "pass",
  exitCode: 0,
  bootId: "1a2b3c4d",
  phases: PHASES,
};

export const PASS_LOG = [
  "[    3.200] dutboot: dutboot 0.1.0 on x64, Node 24.21.0, boot 1a2b3c4d",
  ...Array.from(
    { length: 260 },
    (_, at) => `Pass: ${at * 46}, Skip: ${Math.floor(at / 5)}, Duration: ${at} s, Remaining: ${260 - at} s`,
  ),
  "[   61.310] dutboot: run: done in 38.6 s",
  "",
].join("\n");

export const SAMPLE_INPUTS: Readonly<Record<"pass" | "error" | "big", ReportInput>> = {
  pass: {
    facts: readFacts(PASS_EVENTS),
    verdict: PASS_VERDICT,
    job: { root: "registry.farm/mesa/vulkan:2026-11-20", results: "s3://results/mesa/12345" },
    log: readLogTail(PASS_LOG, { isCut: false }),
    isBeforeUpload: true,
  },
  error: {
    facts: readFacts(ERROR_EVENTS),
    verdict: {
      version: 1,
      verdict: "error",
      exitCode: null,
      bootId: "deadbeef",
      phases: PHASES,
      error: {
        code: "FETCH_TIMEOUT" as never,
        blame: "infra",
        phase: "fetch",
        message: `Cannot fetch "https://cache.farm/${"a-very-long-path/".repeat(30)}": ${HOSTILE}`,
        hint: `Look whether the server answers ${HOSTILE}`,
      },
    },
    job: { root: HOSTILE, results: HOSTILE },
    log: readLogTail(`${HOSTILE}\n${"x".repeat(5000)}\n${"wörter ".repeat(100)}\n`, { isCut: true }),
    isBeforeUpload: true,
  },
  big: {
    facts: readFacts(BIG_EVENTS),
    verdict: { version: 1, verdict: "fail", exitCode: 3, bootId: "0badcafe", phases: PHASES },
    job: { root: `"'&<>`.repeat(400) },
    log: readLogTail(`${`"'&<>`.repeat(300)}\n`.repeat(1000), { isCut: true }),
    isBeforeUpload: false,
  },
};
