/** Command lines that farms send, read by the parser that the DUT and `dutboot explain` use. */
import { expect, it } from "vitest";
import { readCommandLine } from "../../../agent/job/read-job.ts";
import { B2C_LINES, NFS_LINES } from "./farm-lines.ts";

it.each([...B2C_LINES, ...NFS_LINES])("$name", ({ line, extraArguments, expected, warnings = [] }) => {
  const read = readCommandLine(line, extraArguments === undefined ? {} : { extraArguments });
  expect(read.errors).toEqual([]);
  expect(read.job).toMatchObject(expected);
  expect(read.job?.dialect).toBe(read.dialect);
  expect(read.warnings).toHaveLength(warnings.length);
  for (const [at, words] of warnings.entries()) expect(read.warnings[at]).toMatch(words);
});
