/**
 * The input of `explain` and `reproduce`: a command line, and the files that the DUT would fetch.
 */
import { existsSync, readFileSync } from "node:fs";
import { AgentError } from "../agent/errors.ts";
import { parseJobFileText } from "../agent/job/job-file.ts";
import type { Parameter } from "../agent/job/syntax/command-line.ts";
import { type CommandInput, type CommandOption, UsageError } from "./command.ts";

export const JOB_INPUT_OPTIONS = {
  "extra-args": {
    type: "string",
    value: "FILE",
    help: "The file that the DUT would fetch from b2c.extra_args_url",
  },
  job: {
    type: "string",
    value: "FILE",
    help: "A job file, in YAML or JSON; options of the line override it",
  },
} as const satisfies Record<string, CommandOption>;

export interface JobFiles {
  extraArguments?: string;
  jobFile?: readonly Parameter[];
  /** Why the job file could not be read. */
  error?: AgentError;
}

const STANDARD_INPUT = "-";
const STDIN_FD = 0;

/** Throws UsageError for missing files. */
export function readJobInput(input: CommandInput): { line: string; files: JobFiles } {
  return { line: readLine(input.operands), files: readFiles(input) };
}

/** One quoted word, an existing file, or stdin. */
function readLine(operands: readonly string[]): string {
  const [first = STANDARD_INPUT, ...others] = operands;
  if (others.length > 0) throw new UsageError("Cannot read the command line: quote it as one word");
  if (first === STANDARD_INPUT) return readFileSync(STDIN_FD, "utf8");
  return !first.includes("=") && existsSync(first) ? readText(first) : first;
}

function readFiles(input: CommandInput): JobFiles {
  const extra = input.text("extra-args");
  const job = input.text("job");
  const files: JobFiles = extra === undefined ? {} : { extraArguments: readText(extra) };
  if (job === undefined) return files;
  try {
    return { ...files, jobFile: parseJobFileText(readText(job)) };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return { ...files, error };
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`Cannot read "${path}": ${(error as Error).message}`, { cause: error });
  }
}
