/** Words as a POSIX shell splits them, with the variables they are split with; /bin/sh is asked for its opinion too. */

export const ENVIRONMENT: Readonly<Record<string, string>> = {
  A: "one",
  B: "two words",
  EMPTY: "",
  C: " c ",
};
export const SPLIT_CASES: readonly [string, string[]][] = [
  ["", []],
  ["  a\tb  ", ["a", "b"]],
  ["a 'b c' d", ["a", "b c", "d"]],
  ['a "b c" d', ["a", "b c", "d"]],
  ["a'b'\"c\"d", ["abcd"]],
  ["'' \"\"", ["", ""]],
  ["a\\ b \\' \\\"", ["a b", "'", '"']],
  ["'a\\b'", ["a\\b"]],
  ['"a\\b \\" \\$A \\\\"', ['a\\b " $A \\']],
  ["a\\\nb c \\\n d", ["ab", "c", "d"]],
  ['"a\\\nb"', ["ab"]],
  ["'a\nb'", ["a\nb"]],
  ["a #comment", ["a"]],
  ["a#b '#c'", ["a#b", "#c"]],
  [`$A \${A}x '$A' "$A" \\$A`, ["one", "onex", "$A", "one", "$A"]],
  ['$B "$B"', ["two", "words", "two words"]],
  ['x$B"y"', ["xtwo", "wordsy"]],
  ["$C- -$C", ["c", "-", "-", "c"]],
  ['a $EMPTY b "$EMPTY" $NONE', ["a", "b", ""]],
  ["$EMPTY$A$EMPTY", ["one"]],
  ['$ a$ $. "$"', ["$", "a$", "$.", "$"]],
  ["bash -euc 'tar xf x; ./run && echo $A'", ["bash", "-euc", "tar xf x; ./run && echo $A"]],
  ["-e A=b --x='c d'", ["-e", "A=b", "--x=c d"]],
];
