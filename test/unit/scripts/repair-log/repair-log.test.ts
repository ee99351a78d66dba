/** Serial logs with damage of every kind, by hand and by chance, and what becomes of them. */
import { describe, expect, it } from "vitest";
import type { BootLog } from "../../../../scripts/repair-log/read-network-log.ts";
import { type RepairReport, repairLog } from "../../../../scripts/repair-log/repair-log.ts";

const makeBoot = (texts: readonly string[], boot = "1a2b3c4d", missing = 0): BootLog => ({
  boot,
  missing,
  lines: texts.map((text, index) => ({ number: index + 1, text: Buffer.from(text) })),
});
function repair(serial: readonly string[], network: readonly string[], lineEnd = "\n") {
  const { lines, report } = repairLog(Buffer.from(serial.map((line) => line + lineEnd).join("")), [
    makeBoot(network),
  ]);
  return { lines: lines.map(String), report };
}

const LOG = [
  "[    0.000000] Linux version 6.12.0",
  "[    0.913] dutboot: dutboot 0.1.0 on x64, Node 24, boot 1a2b3c4d",
  "[    1.204] dutboot: network: eth0 has 10.42.0.7",
  "[    2.500] dutboot: fetch: 41.0 of 212.0 MB (19 %), 10.2 MB/s, 17 s left",
  "Test case 'spec@arb_gpu_shader5': pass",
  "hwci: mesa: pass, exit_code: 0",
  "[    9.000] dutboot: upload: 6 files, 0.1 MB",
  "dutboot: verdict: pass exit_code=0",
];

describe("a serial log", () => {
  it.each<[string, string[], Partial<RepairReport>]>([
    ["that is whole stays as it is", LOG, { restored: 0, damaged: 0, notes: 0 }],
    ["that is empty gets everything", [], { restored: 8 }],
    ["without its middle", [...LOG.slice(0, 2), ...LOG.slice(6)], { restored: 4, damaged: 0 }],
    ["without its end", LOG.slice(0, 5), { restored: 3 }],
    ["without its beginning", LOG.slice(5), { restored: 5 }],
    [
      "with a line that lost letters",
      LOG.with(3, "[    2.500] dutboot: fetch: 41.0 of 212.0 s left"),
      { restored: 1, damaged: 1 },
    ],
    [
      "with a line cut in two",
      LOG.toSpliced(4, 1, "Test case 'spec@arb", "_gpu_shader5': pass"),
      { restored: 1, damaged: 2 },
    ],
    [
      "with the kernel's line in the middle of another",
      LOG.toSpliced(
        2,
        2,
        `${LOG[2]!.slice(0, 20)}${LOG[3]!.slice(0, 30)}`,
        `${LOG[2]!.slice(20)}`,
        LOG[3]!.slice(30),
      ),
      { restored: 2, damaged: 3 },
    ],
    [
      "with a note about lines that were left out",
      [
        ...LOG.slice(0, 3),
        "[    9.000] dutboot: … 3 lines not shown; the full log is in the results …",
        ...LOG.slice(6),
      ],
      { restored: 3, notes: 1, damaged: 0 },
    ],
    ["that ends in the middle of a line", [...LOG.slice(0, 7), "dutboot: verd"], { restored: 1, damaged: 1 }],
  ])("%s", (_name, serial, report) => {
    const repaired = repair(serial, LOG);
    expect(repaired.lines).toEqual(LOG);
    expect(repaired.report).toMatchObject(report);
    expect(repair(serial, LOG, "\r\n").lines).toEqual(LOG);
  });

  it("keeps lines that only it has, in place", () => {
    const serial = [
      "U-Boot 2024.01",
      "",
      ...LOG.slice(0, 3),
      "a word from the firmware",
      ...LOG.slice(5),
      "power off",
    ];
    expect(repair(serial, LOG).lines).toEqual([
      "U-Boot 2024.01",
      "",
      ...LOG.slice(0, 3),
      "a word from the firmware",
      ...LOG.slice(3),
      "power off",
    ]);
  });

  it("keeps a note if the network log has no lines for it", () => {
    const note = "[    9.000] dutboot: … 3 lines not shown; the full log is in the results …";
    const serial = [...LOG.slice(0, 3), note, ...LOG.slice(6)];
    const network = [...LOG.slice(0, 3), ...LOG.slice(6)];
    expect(repair(serial, network).lines).toEqual(serial);
  });

  it("does not get a line twice that came in another order", () => {
    const serial = [LOG[0]!, LOG[2]!, LOG[1]!, LOG[3]!, LOG[5]!, LOG[4]!, ...LOG.slice(6)];
    expect(repair(serial, LOG)).toMatchObject({ lines: serial, report: { restored: 0, damaged: 0 } });
  });

  it("shows control bytes and lines like ours in its own way", () => {
    const network = [
      "\x1b[31mred\x1b[0m text\r",
      "10 %\r20 %\r100 %",
      "a\x07bell",
      "broken \xff",
      "dutboot: verdict: pass",
      "two  spaces ",
    ];
    const serial = [
      "\x1b[31mred\x1b[0m text",
      "100 %",
      "a\\x07bell",
      "broken \\xff",
      "| dutboot: verdict: pass",
      "two  spaces",
    ];
    const bytes = network.map((text) => Buffer.from(text, "latin1"));
    const boot = { ...makeBoot([]), lines: bytes.map((text, number) => ({ number, text })) };
    const { lines, report } = repairLog(Buffer.from(serial.join("\n")), [boot]);
    expect(lines.map(String)).toEqual(serial);
    expect(report).toMatchObject({ restored: 0 });
  });

  it("of two boots takes both, and no third one", () => {
    const boots = ["1a2b3c4d", "ffffffff", "00000000"].map((id) =>
      makeBoot([`hello, boot ${id}`, `more of ${id}`, `end of ${id}`], id),
    );
    const serial = ["hello, boot ffffffff", "end of ffffffff", "hello, boot 1a2b3c4d", "end of 1a2b3c4d"];
    const { lines, report } = repairLog(Buffer.from(serial.join("\n")), boots);
    expect(lines.map(String)).toEqual(
      ["ffffffff", "1a2b3c4d"].flatMap((id) => [`hello, boot ${id}`, `more of ${id}`, `end of ${id}`]),
    );
    expect(report).toMatchObject({ restored: 2, networkLines: 6 });
  });
});

/** mulberry32 */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below) | 0;
  };
}

/** Lines as tests print them: mostly their own, some that come again and again. */
function makeLog(random: (below: number) => number): string[] {
  return Array.from({ length: 50 + random(300) }, (_, at) =>
    random(4) === 0
      ? ["ok", "pass", "", "----------------", "running the next case"][random(5)]!
      : `[${(at / 10).toFixed(3).padStart(9)}] case ${at} of group ${random(1e6).toString(36)}: ${["pass", "fail", "skip"][random(3)]}`,
  );
}

describe("by chance", () => {
  it.each(Array.from({ length: 150 }, (_, seed) => seed))(
    "a log that lost lines and letters is whole again, seed %d",
    (seed) => {
      const random = createRandom(seed);
      const log = makeLog(random);
      const serial: string[] = [];
      const noise: string[] = [];
      for (let at = 0; at < log.length; at++) {
        const kind = random(30);
        if (kind === 0) at += random(20);
        else if (kind === 1) {
          at += random(40);
          serial.push("[    9.000] dutboot: … 1,234 lines not shown; the full log is in the results …");
        } else if (kind === 2 && log[at]!.length > 20) serial.push(log[at]!.slice(0, 12 + random(10)));
        else if (kind === 3) {
          noise.push(`~~~ firmware ${noise.length} ~~~`);
          serial.push(noise.at(-1)!, log[at]!);
        } else serial.push(log[at]!);
      }
      const { lines } = repair(serial, log);
      const isNoise = (line: string) => line.startsWith("~~~");
      expect(lines.filter(isNoise)).toEqual(noise);
      const rest = lines.filter((line) => !isNoise(line));
      // An empty line says nothing, and may stand on either side of what was lost.
      const isText = (line: string) => line !== "";
      expect(rest.filter(isText).filter((line) => !line.includes("not shown"))).toEqual(log.filter(isText));
    },
  );

  it("takes a large log in a moment", () => {
    const random = createRandom(7);
    const log = Array.from({ length: 200_000 }, (_, at) =>
      random(3) === 0 ? "ok" : `case ${at}: ${random(1e9)}`,
    );
    const serial = log.filter((_, at) => at < 1000 || at > 150_000 || at % 1000 === 0);
    const startedAt = performance.now();
    expect(repair(serial, log).lines).toEqual(log);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});
