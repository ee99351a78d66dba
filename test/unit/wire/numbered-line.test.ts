import { describe, expect, it } from "vitest";
import {
  formatNumberedLine,
  type NumberedLine,
  parseNumberedLine,
} from "../../../agent/wire/numbered-line.ts";
import {
  createSyslogFormat,
  frameSyslogMessage,
  type LineOrigin,
  parseSyslogMessage,
} from "../../../agent/wire/syslog.ts";

const LINE: NumberedLine = {
  boot: "1a2b3c4d",
  number: 17,
  uptimeMs: 12_345,
  part: "whole",
  text: Buffer.from("hwci: mesa: pass"),
};
interface Context {
  origin: LineOrigin;
  timeMs: number | undefined;
  hostname: string | undefined;
}
const CONTEXT: Context = { origin: "test", timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6), hostname: "navi31-7" };
const formatSyslogMessage = (line: NumberedLine, context: Context) =>
  createSyslogFormat(context)(line, context);

const LINES: [string, Partial<NumberedLine>][] = [
  ["a plain one", {}],
  ["without text", { text: Buffer.alloc(0) }],
  ["any bytes", { text: Buffer.from([0, 1, 0x0d, 0x1b, 0x80, 0xff, 0x20, 0x20]) }],
  ["text that looks like a head", { text: Buffer.from('1a2b3c4d 3 1.000 x [meta sequenceId="9"]') }],
  ["a first piece", { part: "start" }],
  ["a piece in between", { part: "middle" }],
  ["a last piece", { part: "end" }],
  ["a long-lived machine", { uptimeMs: 123_456_789_120, number: 9_007_199_254_740_991 }],
];

describe("a numbered line", () => {
  it.each(LINES)("%s is read as it was written", (_name, fields) => {
    const line = { ...LINE, ...fields };
    const bytes = formatNumberedLine(line);
    expect(bytes.at(-1)).toBe(0x0a);
    expect(parseNumberedLine(bytes.subarray(0, -1))).toEqual(line);
  });

  it("can be read by people", () => {
    expect(formatNumberedLine(LINE).toString()).toBe("1a2b3c4d 17 12.345 hwci: mesa: pass\n");
    expect(formatNumberedLine({ ...LINE, part: "middle" }).toString()).toContain(" 17~+ ");
  });

  it.each([
    "",
    "hello",
    "1a2b3c4d 0 1.000 x",
    "1A2B3C4D 1 1.000 x",
    "1a2b3c4d 1 1.00 x",
    " 1a2b3c4d 1 1.000 x",
    "1a2b3c4d 1 1.000",
  ])("%j is none", (text) => expect(parseNumberedLine(Buffer.from(text))).toBeUndefined());
});

describe("a syslog message", () => {
  it.each(LINES)("%s is read as it was written", (_name, fields) => {
    const line = { ...LINE, ...fields };
    const read = parseSyslogMessage(formatSyslogMessage(line, CONTEXT));
    expect(read).toEqual({ ...line, uptimeMs: Math.floor(line.uptimeMs / 10) * 10 });
  });

  it.each<[string, Partial<Context>, string]>([
    ["as RFC 5424 has it", {}, "<134>1 2026-01-02T03:04:05.006Z navi31-7 test 1a2b3c4d - "],
    ["without a clock", { timeMs: undefined }, "<134>1 - navi31-7 test "],
    ["without a name", { hostname: undefined }, "<134>1 2026-01-02T03:04:05.006Z - test "],
    ["with a name that is none", { hostname: "ä b\n" }, "<134>1 2026-01-02T03:04:05.006Z b test "],
    ["of the kernel", { origin: "kernel" }, "<6>1 2026-01-02T03:04:05.006Z navi31-7 kernel "],
  ])("%s", (_name, context, head) => {
    const message = formatSyslogMessage(LINE, { ...CONTEXT, ...context }).toString();
    expect(message.slice(0, head.length)).toBe(head);
    expect(message).toContain(' [meta sequenceId="17" sysUpTime="1234"] hwci: mesa: pass');
    expect(parseSyslogMessage(Buffer.from(message))).toMatchObject({ number: 17 });
  });

  it("counts octets, not characters", () => {
    expect(frameSyslogMessage(Buffer.from("ä")).toString()).toBe("2 ä");
  });

  it.each(["", "<134>1 - - other 1a2b3c4d - - x", "Jan  2 03:04:05 navi31-7 test[1a2b3c4d]: x"])(
    "%j is none",
    (text) => expect(parseSyslogMessage(Buffer.from(text))).toBeUndefined(),
  );
});
