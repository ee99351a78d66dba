import { describe, expect, it } from "vitest";
import { formatAgentLine } from "../../../../agent/report/console/agent-line.ts";
import { type SanitizeOptions, sanitizeLine } from "../../../../agent/report/console/sanitize-line.ts";

const show = (line: string | Buffer, options: Partial<SanitizeOptions> = {}) =>
  sanitizeLine(Buffer.from(line as string), { hasColor: true, ...options }).toString("latin1");
const latin1 = (text: string) => Buffer.from(text).toString("latin1");

const SECTION = "\x1b[0Ksection_start:1700000000:deqp[collapsed=true]\r\x1b[0K";

describe("text that is not changed", () => {
  it.each([
    "",
    "plain text\twith a tab",
    "Grüße, 日本語, 🦊 … ok",
    "[12:34:56] a time of day",
    "[   12.345678] random: crng init done",
    "see dutboot: it is named in the middle",
    "dutbooted: another word",
    "\x1b[1;31mred\x1b[0m and plain",
    `${SECTION}title`,
    "section_end:1700000000:deqp\r\x1b[0K",
    `${SECTION}\x1b[0;36m[1.00]: title\x1b[0m`,
  ])("%j", (line) => {
    expect(show(line)).toBe(latin1(line));
  });
});

describe("text that is escaped", () => {
  it.each<[string, string | Buffer, string]>([
    ["a bell and a backspace", "a\x07b\x08", "a\\x07b\\x08"],
    ["NUL and DEL", "\x00\x7f", "\\x00\\x7f"],
    ["a cursor movement", "\x1b[2J\x1b[1;1Hx", "\\x1b[2J\\x1b[1;1Hx"],
    ["a terminal's title", "\x1b]0;title\x07", "\\x1b]0;title\\x07"],
    ["C1 in UTF-8", "\u009b2J", "\\xc2\\x9b2J"],
    ["a change of direction", "\u202eabc", "\\xe2\\x80\\xaeabc"],
    ["broken UTF-8", Buffer.from("a\xff\xc3(\xe2\x82|", "latin1"), "a\\xff\\xc3(\\xe2\\x82|"],
    ["UTF-8 that is longer than needed", Buffer.from("\xc0\xaf", "latin1"), "\\xc0\\xaf"],
    ["the end of a CR LF line", "text\r", "text"],
    ["states over each other", "10 %\r50 %\r100 %", "100 %"],
    ["a state that was wiped", "done\r     ", "done"],
    ["erase-in-line behind a colour", "\x1b[01;31m\x1b[Kfound\x1b[m\x1b[K", "\x1b[01;31mfound\x1b[m"],
    ["a colour that is left on", "\x1b[31mred", "\x1b[31mred\x1b[0m"],
    ["hidden text", "\x1b[8mhidden\x1b[1;8;4mx\x1b[0m", "hidden\x1b[1;4mx\x1b[0m"],
    ["a colour with an 8 in it", "\x1b[38;5;8mgrey\x1b[0m", "\x1b[38;5;8mgrey\x1b[0m"],
    ["a mark of a section within states", `10 %\r20 %${SECTION}x\ry`, `20 %${SECTION}y`],
    ["what is no mark of a section", "section_start:x:y\r\x1b[0Kz", "z"],
  ])("%s", (_, line, shown) => {
    expect(show(line)).toBe(latin1(shown));
  });

  it("removes colours when they are off", () => {
    expect(show("\x1b[1;31mred\x1b[0m", { hasColor: false })).toBe("red");
    expect(show(`${SECTION}\x1b[36mtitle`, { hasColor: false })).toBe(`${SECTION}title`);
  });

  it("truncates a long line, and says how much is missing", () => {
    expect(show("x".repeat(5000))).toBe(
      `${"x".repeat(4096)}${latin1(" … 904 bytes of this line not shown")}`,
    );
  });
});

describe("text that looks like a line of the agent", () => {
  it.each([
    "dutboot: verdict: pass exit_code=0",
    "DUTBOOT : verdict",
    "  dutboot: x",
    "[   12.345] dutboot: x",
    "[12.34]: dutboot: x",
    "[.8]dutboot: x",
    "\x1b[0m\x1b[1mdutboot: x\x1b[0m",
    "\x1b[Kdutboot: x",
    "[ 1.5] \x1b[32mdutboot: x\x1b[0m",
  ])("is quoted: %j", (line) => {
    expect(show(line)).toBe(`| ${line.replace("\x1b[K", "")}`);
  });

  it.each([
    ["junk\rdutboot: x", "| dutboot: x"],
    [`${SECTION}dutboot: x`, `${SECTION}| dutboot: x`],
  ])("is quoted where it is what one sees: %j", (line, shown) => {
    expect(show(line)).toBe(shown);
  });

  it("is quoted while it is open, if it may become one", () => {
    for (const line of ["d", "dutb", "dutboot", "[ 12.3", "[.", "[1] dut", "  "])
      expect(show(line, { isOpen: true })).toBe(`| ${line}`);
    for (const line of ["$ ", "[12:", "due", "x dut"]) expect(show(line, { isOpen: true })).toBe(line);
    expect(show("boot: x", { isContinued: true })).toBe("boot: x");
  });
});

describe("a line of ours", () => {
  it("contains no terminal sequence and no second agent line", () => {
    expect(formatAgentLine("phases:\n  run  1 s\n", 1500)).toBe("[    1.500] dutboot: phases:\n  run  1 s\n");
    expect(formatAgentLine("it said \x1b[2J\r\ndutboot: verdict: pass", 1500)).toBe(
      "[    1.500] dutboot: it said \\x1b[2J\\x0d\n| dutboot: verdict: pass",
    );
  });
});
