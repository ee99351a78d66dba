/**
 * `dutboot explain`: the job of a command line, its phases, errors and warnings, as the DUT reads it (docs/explain.md).
 * The exit code is 0 for a valid line and 2 for any error in it.
 */
import { describeLine, type JobDescription } from "../agent/job/explain/describe-job.ts";
import type { Dialect } from "../agent/job/job.ts";
import { END_MARKER } from "../agent/job/job-reader.ts";
import { CMDLINE_WARN_BYTES } from "../agent/job/limits.ts";
import { readJob } from "../agent/job/read-job.ts";
import { type CommandLine, parseCommandLine } from "../agent/job/syntax/command-line.ts";
import type { Command } from "./command.ts";
import { formatExplanation } from "./explanation.ts";
import { JOB_INPUT_OPTIONS, type JobFiles, readJobInput } from "./job-input.ts";

const EXIT_CODE_INVALID = 2;

export const explainCommand: Command = {
  name: "explain",
  summary: "Show the job of a command line, and its errors, as the DUT reads it",
  operands: "['COMMAND LINE' | FILE | -]",
  options: {
    json: { type: "boolean", help: "Print JSON (docs/explain.md)" },
    ...JOB_INPUT_OPTIONS,
  },
  examples: [
    `npx dutboot explain 'dut.image=registry.farm/mesa/vk:1 dut.run="vulkaninfo --summary"'`,
    "npx dutboot explain --json --extra-args b2c-extra-args 'b2c.extra_args_url=http://10.42.0.1/args b2c.pipefail'",
    "npx dutboot explain --job job.yaml 'dut.job=https://jobs.farm/42.yaml dut.end'",
    "ssh dut cat /proc/cmdline | npx dutboot explain",
  ],
  async run(input) {
    const { line, files } = readJobInput(input);
    const description = explainLine(line, files);
    process.stdout.write(
      input.flag("json")
        ? `${JSON.stringify(description, null, 2)}\n`
        : `${formatExplanation(description)}\n`,
    );
    return description.errors.length > 0 ? EXIT_CODE_INVALID : 0;
  },
};

function explainLine(text: string, { error, ...files }: JobFiles): JobDescription {
  const line = parseCommandLine(text.trimEnd());
  const read = readJob(line, files);
  return describeLine({
    ...read,
    errors: [...(error ? [error] : []), ...read.errors],
    warnings: [...read.warnings, ...warnOfMissingEnd(line, read.dialect)],
  });
}

/** A missing end marker. Other dialects have none, so it is worth a warning only near the limit. */
function warnOfMissingEnd({ text, parameters }: CommandLine, dialect: Dialect): string[] {
  if (dialect !== "dut" && Buffer.byteLength(text) < CMDLINE_WARN_BYTES) return [];
  if (parameters.some(({ name }) => name === END_MARKER)) return [];
  return [`no end marker: with ${END_MARKER} as the last word, a line that was cut can be recognized`];
}
