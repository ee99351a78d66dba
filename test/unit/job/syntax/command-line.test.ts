/** The tokenizer against the kernel's next_arg, whose odd corners are kept as they are. */
import { describe, expect, it } from "vitest";
import { parseCommandLine } from "../../../../agent/job/syntax/command-line.ts";

const read = (line: string) => parseCommandLine(line).parameters.map(({ name, value }) => [name, value]);

const bare = (...names: string[]) => names.map((name) => [name, undefined]);

describe("kernel command line", () => {
  it.each([
    ["", []],
    [" \t\n ", []],
    ["quiet", bare("quiet")],
    ["a=b", [["a", "b"]]],
    ["a=b=c", [["a", "b=c"]]],
    ["a=", [["a", ""]]],
    ['a=""', [["a", ""]]],
    ['a="b c"', [["a", "b c"]]],
    ['"a=b c"', [["a", "b c"]]],
    ['"a b"', bare("a b")],
    ['""', bare("")],
    ['dut.run="echo hi; exit 3"', [["dut.run", "echo hi; exit 3"]]],
    ['a="b c" d', [["a", "b c"], ...bare("d")]],
    ['a="b\nc"', [["a", "b\nc"]]],
    ["  a \t b\nc\r\v\f d ", bare("a", "b", "c", "d")],
    // Quotes inside a word keep spaces and stay where they are.
    ['a=b"c d"', [["a", 'b"c d"']]],
    ['a"b c"=d', [['a"b c"', "d"]]],
    ['a="b "c" d"', [["a", 'b "c" d']]],
    // The value's quotes are two: what follows the second belongs to it.
    ['a="b"c', [["a", 'b"c']]],
    // A quote round the word and one round the value: one closing quote is taken off.
    ['"a="b"', [["a", "b"]]],
    ['"a="b""', [["a", 'b"']]],
    // The quote at the start closes at the value's, and the space counts.
    ['"a="b c""', [["a", "b"], ...bare('c""')]],
    // A first character `=` belongs to the name.
    ["=a", bare("=a")],
    ["=a=b", [["=a", "b"]]],
    ["a -- b", bare("a")],
    ['"--" a', []],
    ["a=-- b", [["a", "--"], ...bare("b")]],
    ['a="--" b', [["a", "--"], ...bare("b")]],
    ["--a b --", bare("--a", "b")],
    // Nothing but the double quote means anything.
    ["'a b'", bare("'a", "b'")],
    ["a=\\n", [["a", "\\n"]]],
    ['a="\\"b"', [["a", '\\"b']]],
    ["a=b#c", [["a", "b#c"]]],
    ["a=é\u00a0x", [["a", "é\u00a0x"]]],
    ['a="b c', [["a", "b c"]]],
  ])("%j", (line, parameters) => {
    expect(read(line)).toEqual(parameters);
  });

  it("keeps each word as it is written", () => {
    const { parameters } = parseCommandLine('  quiet dut.run="a b"\t"c=d e"');
    expect(parameters.map(({ text }) => text)).toEqual(["quiet", 'dut.run="a b"', '"c=d e"']);
  });

  it("returns the words after -- as those of init", () => {
    const { initParameters } = parseCommandLine("a -- b c=d -- e");
    expect(initParameters.map(({ text }) => text)).toEqual(["b", "c=d", "--", "e"]);
  });

  it.each([
    ['a="b', true],
    ['a="b"', false],
    ['"', true],
    ['a"b"c"', true],
    ["", false],
  ])("reports an open quote: %j", (line, isUnterminated) => {
    expect(parseCommandLine(line).isUnterminated).toBe(isUnterminated);
  });
});
