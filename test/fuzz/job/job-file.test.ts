/** Job files from random pieces: they give parameters or JOB_FILE_INVALID, and reading these never throws. */
import { randomInt } from "node:crypto";
import { expect, it } from "vitest";
import { AgentError } from "../../../agent/errors.ts";
import { OPTIONS } from "../../../agent/job/dut/options.ts";
import { describeLine } from "../../../agent/job/explain/describe-job.ts";
import { parseJobFileText } from "../../../agent/job/job-file.ts";
import { readCommandLine } from "../../../agent/job/read-job.ts";

const PIECES = [
  ..."\n\n\n \t:-?{}[],#&*!|>'\"%@`~é\0",
  "  - ",
  ": ",
  "&a ",
  "*a",
  "<<: ",
  "!!binary ",
  "---\n",
  "null",
  "1e9",
  "\\u00",
  ...OPTIONS.map(({ name }) => `${name.slice(4)}: `),
  ...OPTIONS.map(({ example }) => example),
];

it("never throws anything else", () => {
  for (let round = 0; round < 5_000; round++) {
    const text = Array.from({ length: randomInt(1, 30) }, () => PIECES[randomInt(PIECES.length)]).join("");
    try {
      const jobFile = parseJobFileText(text);
      describeLine(readCommandLine("", { jobFile }));
    } catch (error) {
      expect(error, JSON.stringify(text)).toBeInstanceOf(AgentError);
      expect((error as AgentError).code).toBe("JOB_FILE_INVALID");
    }
  }
});
