/** Splitting as a POSIX shell: each case is what /bin/sh makes of it (test/integration/job asks one). */
import { describe, expect, it } from "vitest";
import { expandWords, quoteShellWord, splitShellText } from "../../../../agent/job/syntax/shell-words.ts";
import { ENVIRONMENT, SPLIT_CASES } from "../shell-cases.ts";

const split = (text: string) => expandWords(splitShellText(text), (name) => ENVIRONMENT[name]);

describe("words", () => {
  it.each(SPLIT_CASES)("%j", (text, words) => {
    expect(split(text)).toEqual(words);
  });

  it("tells operators from words", () => {
    const operators = splitShellText("a && b; c|d 2>&1 >f & (e) || g\nh ';'").flatMap((token) =>
      token.kind === "operator" ? [token.text] : [],
    );
    expect(operators).toEqual(["&&", ";", "|", "2", ">&", ">", "&", "(", ")", "||", "\n"]);
  });
});

it.each([
  ["a 'b", /' that is never closed/],
  ['a "b', /" that is never closed/],
  ["$(reboot)", /command substitution/],
  ['"`reboot`"', /command substitution/],
  [`\${A:-b}`, /\$\{NAME\}/],
  ["${", /\$\{NAME\}/],
])("refused: %s", (text, words) => {
  expect(() => split(text)).toThrow(words);
});

it.each(["a", "a b", "", "it's", "$A", "`x`", "a\nb", "é", "-e", "a;b"])(
  "quotes %j so that it reads back",
  (word) => {
    expect(split(`x ${quoteShellWord(word)} y`)).toEqual(["x", word, "y"]);
  },
);
