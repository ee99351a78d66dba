import { describe, expect, it } from "vitest";
import { formatParameter, parseCommandLine } from "../../../agent/job/command-line.ts";

const read = (line: string) => parseCommandLine(line).parameters.map(({ name, value }) => [name, value]);

describe("kernel command line", () => {
  it.each([
    ["quiet", [["quiet", undefined]]],
    ["a=b", [["a", "b"]]],
    ["a=b=c", [["a", "b=c"]]],
    ["a=", [["a", ""]]],
    ['a="b c"', [["a", "b c"]]],
    ['"a=b c"', [["a", "b c"]]],
    ['dut.run="echo hi; exit 3"', [["dut.run", "echo hi; exit 3"]]],
    [
      'a="b c" d',
      [
        ["a", "b c"],
        ["d", undefined],
      ],
    ],
    ['a=b"c d"', [["a", 'b"c d"']]],
    [
      "  a \t b\nc  ",
      [
        ["a", undefined],
        ["b", undefined],
        ["c", undefined],
      ],
    ],
    ["a -- b", [["a", undefined]]],
    [
      'a="--" b',
      [
        ["a", "--"],
        ["b", undefined],
      ],
    ],
    ["", []],
    [
      "'a b'",
      [
        ["'a", undefined],
        ["b'", undefined],
      ],
    ],
    ["a=\\n", [["a", "\\n"]]],
  ])("%j", (line, parameters) => {
    expect(read(line)).toEqual(parameters);
  });

  it.each([
    ['a="b', true],
    ['a="b"', false],
    ['"', true],
  ])("knows whether a quote is left open: %j", (line, isUnterminated) => {
    expect(parseCommandLine(line).isUnterminated).toBe(isUnterminated);
  });

  it("reads back what it writes", () => {
    for (const value of ["x", "a b", "", "s3://b/p", "--"]) {
      expect(read(formatParameter("dut.x", value))).toEqual([["dut.x", value]]);
    }
  });
});
