/** The supervisor's script repeats blame and hint of its error codes, because it cannot read the tables. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { ERRORS, type ErrorCode } from "../../../agent/errors.ts";

const script = readFileSync(new URL("../../../initrd/files/supervise-agent", import.meta.url), "utf8");
const calls = [...script.matchAll(/give_verdict ([A-Z_]+) (\w+) "[^"]*"\s*(?:\\\n\s*)?"([^"]*)"/g)];

it("finds the calls", () => {
  expect(calls.length).toBe(script.match(/^\s*give_verdict [A-Z_]+ /gm)!.length);
  expect(calls.length).toBeGreaterThan(3);
});

it.each(calls.map(([, code, blame, hint]) => ({ code: code as ErrorCode, blame, hint })))(
  "$code has the blame and the hint of the table",
  ({ code, blame, hint }) => {
    expect({ blame, hint }).toEqual({ blame: ERRORS[code].blame, hint: ERRORS[code].hint });
  },
);
