import { randomInt } from "node:crypto";
import { expect, it } from "vitest";
import { formatParameter, parseCommandLine } from "../../../agent/job/command-line.ts";
import { readDutDialect } from "../../../agent/job/dut-dialect.ts";
import { OPTIONS } from "../../../agent/job/options.ts";

const PIECES = [
  ..." \"=,-\\\n\t'$;:@/%?#[]é\0",
  "dut.",
  "s3://",
  "https://",
  "sha256=",
  "--",
  "1h",
  ...OPTIONS.map(({ name }) => name),
];

function randomLine(): string {
  return Array.from({ length: randomInt(1, 40) }, () => PIECES[randomInt(PIECES.length)]).join("");
}

it("never throws, and always gives a job or a reason", () => {
  for (let round = 0; round < 50_000; round++) {
    const line = randomLine();
    const { job, errors } = readDutDialect(line);
    expect(job !== undefined || errors.length > 0, JSON.stringify(line)).toBe(true);
  }
});

it("reads back every value without quotes", () => {
  for (let round = 0; round < 20_000; round++) {
    const value = randomLine().replaceAll('"', "");
    const { parameters } = parseCommandLine(formatParameter("dut.x", value));
    expect(parameters[0]).toMatchObject({ name: "dut.x", value });
  }
});
