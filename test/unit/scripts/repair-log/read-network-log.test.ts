/** A numbered log as readers keep it: every form, with what breaks and repetitions leave behind. */
import { describe, expect, it } from "vitest";
import {
  formatNumberedLine,
  type LinePart,
  type NumberedLine,
} from "../../../../agent/wire/numbered-line.ts";
import { createSyslogFormat, frameSyslogMessage } from "../../../../agent/wire/syslog.ts";
import { assembleBoots, readNetworkLines } from "../../../../scripts/repair-log/read-network-log.ts";

const makeLine = (
  number: number,
  text: string,
  part: LinePart = "whole",
  boot = "1a2b3c4d",
): NumberedLine => ({
  boot,
  number,
  uptimeMs: number * 10,
  part,
  text: Buffer.from(text),
});
const LINES = [
  makeLine(1, "[    0.000000] Linux"),
  makeLine(2, ""),
  makeLine(3, "12 <134>1 no frame"),
  makeLine(4, "a \x1b[31mcolour\x1b[0m \xff\r"),
  makeLine(5, "1a2b3c4d 9 1.000 of a test that prints such lines"),
];
const formatMessage = createSyslogFormat({ hostname: "dut" });
const syslog = (line: NumberedLine) => formatMessage(line, { origin: "test", timeMs: 0 });
const read = (text: Buffer | string) => {
  const boots = assembleBoots(readNetworkLines(Buffer.from(text)));
  return boots.map(({ boot, lines, missing }) => ({
    boot,
    missing,
    lines: lines.map(({ number, text: found }) => `${number} ${found.toString()}`),
  }));
};
const WHOLE = [{ boot: "1a2b3c4d", missing: 0, lines: LINES.map(({ number, text }) => `${number} ${text}`) }];

describe("the same lines", () => {
  it.each<[string, Buffer]>([
    ["plain", Buffer.concat(LINES.map(formatNumberedLine))],
    ["backwards and twice", Buffer.concat([...LINES, ...LINES].reverse().map(formatNumberedLine))],
    ["as syslog, a line each", Buffer.concat(LINES.flatMap((line) => [syslog(line), Buffer.from("\n")]))],
    ["as frames", Buffer.concat(LINES.map((line) => frameSyslogMessage(syslog(line))))],
    [
      "as frames with line ends",
      Buffer.concat(LINES.flatMap((line) => [frameSyslogMessage(syslog(line)), Buffer.from("\n")])),
    ],
    [
      "among other words",
      Buffer.from(`# log\n${LINES.map((line) => formatNumberedLine(line)).join("other\n\n")}`),
    ],
  ])("%s", (_name, bytes) => expect(read(bytes)).toEqual(WHOLE));
});

describe("traces of a broken connection", () => {
  const again = Buffer.concat(
    [makeLine(2, "two is long"), makeLine(3, "three")].map(formatNumberedLine),
  ).toString();
  it.each([
    ["a cut text", "1a2b3c4d 2 0.020 two i"],
    ["a cut head", "1a2b3c4d 3 0.0"],
    ["nothing but a boot", "1a2b3c4d"],
    ["nothing of a text", "1a2b3c4d 3 0.030 "],
  ])("%s, with what was sent again right behind it", (_name, cut) => {
    const text = `1a2b3c4d 1 0.010 one\n${cut}${again}`;
    expect(read(text)).toEqual([
      { boot: "1a2b3c4d", missing: 0, lines: ["1 one", "2 two is long", "3 three"] },
    ]);
  });

  it("numbers that are missing are counted", () => {
    const lines = [2, 3, 7].map((number) => formatNumberedLine(makeLine(number, "x")));
    expect(read(Buffer.concat(lines))).toMatchObject([{ missing: 4 }]);
  });
});

describe("pieces", () => {
  it("are joined across other lines", () => {
    const lines = [
      makeLine(1, "lo", "start"),
      makeLine(2, "[ 1.0] kernel"),
      makeLine(3, "gi", "middle"),
      makeLine(4, "n: ", "end"),
      makeLine(5, "next"),
    ];
    const expected = ["1 login: ", "2 [ 1.0] kernel", "5 next"];
    expect(read(Buffer.concat(lines.map(formatNumberedLine)))).toMatchObject([{ lines: expected }]);
  });

  it("without their beginning are lines of their own", () => {
    const lines = [makeLine(3, "gi", "middle"), makeLine(4, "n: ", "end")];
    expect(read(Buffer.concat(lines.map(formatNumberedLine)))).toMatchObject([
      { lines: ["3 gin: "], missing: 2 },
    ]);
  });
});

it("no bytes are too odd", () => {
  const pieces = [
    ...LINES.flatMap((line) => [formatNumberedLine(line), syslog(line), frameSyslogMessage(syslog(line))]),
    ...["\n", "\r\n", "9999999 <1>1 ", "1 <", "1a2b3c4d ", "\0", "\xff", "~+ ", "[meta sequenceId="].map(
      (text) => Buffer.from(text, "latin1"),
    ),
  ];
  for (let round = 0; round < 2000; round++) {
    const bytes = Buffer.concat(
      Array.from({ length: 12 }, () => {
        const piece = pieces[Math.floor(Math.random() * pieces.length)]!;
        return piece.subarray(0, Math.ceil(Math.random() * piece.length));
      }),
    );
    for (const { boot, lines } of assembleBoots(readNetworkLines(bytes))) {
      expect(boot).toMatch(/^[0-9a-f]{8}$/);
      const numbers = lines.map(({ number }) => number);
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    }
  }
});

it("boots are kept apart", () => {
  const lines = [makeLine(1, "a"), makeLine(1, "b", "whole", "ffffffff"), makeLine(2, "c")];
  expect(read(Buffer.concat(lines.map(formatNumberedLine)))).toEqual([
    { boot: "1a2b3c4d", missing: 0, lines: ["1 a", "2 c"] },
    { boot: "ffffffff", missing: 0, lines: ["1 b"] },
  ]);
});
