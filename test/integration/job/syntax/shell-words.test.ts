/** The cases of the shell splitter, against a real shell. */
import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { ENVIRONMENT, SPLIT_CASES } from "../../../unit/job/shell-cases.ts";

it.each(SPLIT_CASES)("/bin/sh agrees: %j", (text, words) => {
  const script = `set -f; words() { [ $# -eq 0 ] || printf '%s\\0' "$@"; }\nwords ${text}\n`;
  const output = execFileSync("/bin/sh", ["-c", script], { env: ENVIRONMENT, encoding: "utf8" });
  expect(output.split("\0").slice(0, -1)).toEqual(words);
});
