/**
 * `dutboot explain`: what the DUT makes of a command line: the job, its phases, every complaint. The DUT's own parser reads it.
 * Exit code 0 for a valid line, 2 for any error in it; docs/explain.md describes the JSON.
 */
import { existsSync, readFileSync } from "node:fs";
import { AgentError } from "../agent/errors.ts";
import type { Parameter } from "../agent/job/command-line.ts";
import { describeLine, type JobDescription } from "../agent/job/describe-job.ts";
import { readJobFile } from "../agent/job/job-file.ts";
import { warnOfMissingEnd } from "../agent/job/line-warnings.ts";
import { readCommandLine } from "../agent/job/read-job.ts";
import { type Command, type CommandInput, UsageError } from "./command.ts";
import { formatExplanation } from "./explanation.ts";

const STANDARD_INPUT = "-";
const STDIN_FD = 0;
const EXIT_CODE_INVALID = 2;

export const explainCommand: Command = {
  name: "explain",
  summary: "Say what a command line asks for, and what is wrong with it, as the DUT would read it",
  operands: "['COMMAND LINE' | FILE | -]",
  options: {
    json: { type: "boolean", help: "Print JSON (docs/explain.md)" },
    "extra-args": { type: "string", value: "FILE", help: "What the DUT would fetch from b2c.extra_args_url" },
    job: { type: "string", value: "FILE", help: "A job file, in JSON, that the line's own options win over" },
  },
  examples: [
    `npx dutboot explain 'dut.image=registry.farm/mesa/vk:1 dut.run="vulkaninfo --summary"'`,
    "npx dutboot explain --json --extra-args b2c-extra-args 'b2c.extra_args_url=http://10.42.0.1/args b2c.pipefail'",
    "ssh dut cat /proc/cmdline | npx dutboot explain",
  ],
  async run(input) {
    const description = explainLine(readLine(input.operands), readFiles(input));
    process.stdout.write(
      input.flag("json")
        ? `${JSON.stringify(description, null, 2)}\n`
        : `${formatExplanation(description)}\n`,
    );
    return description.errors.length > 0 ? EXIT_CODE_INVALID : 0;
  },
};

interface Files {
  extraArguments?: string;
  jobFile?: readonly Parameter[];
  /** The job file that could not be read. */
  error?: AgentError;
}

export function explainLine(line: string, { error, ...files }: Files = {}): JobDescription {
  const read = readCommandLine(line, files);
  return describeLine({
    ...read,
    errors: [...(error ? [error] : []), ...read.errors],
    warnings: [...read.warnings, ...warnOfMissingEnd(line, read.dialect)],
  });
}

/** One line quoted whole, or its words one by one as a shell has split them; a file that is there; or stdin. */
function readLine(operands: readonly string[]): string {
  const [first = STANDARD_INPUT, ...others] = operands;
  if (others.length > 0) throw new UsageError("Cannot tell the command line: quote it as one word");
  if (first === STANDARD_INPUT) return readFileSync(STDIN_FD, "utf8");
  return !first.includes("=") && existsSync(first) ? readText(first) : first;
}

function readFiles(input: CommandInput): Files {
  const extra = input.text("extra-args");
  const job = input.text("job");
  const files: Files = extra === undefined ? {} : { extraArguments: readText(extra) };
  if (job === undefined) return files;
  try {
    return { ...files, jobFile: readJobFile(parseJson(readText(job), job)) };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return { ...files, error };
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new AgentError("JOB_FILE_BAD", `Cannot read the job file "${path}": ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`Cannot read "${path}": ${(error as Error).message}`, { cause: error });
  }
}
