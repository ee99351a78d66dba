/**
 * Our own dialect: `dut.*` parameters of the kernel command line become a Job.
 * Every complaint is collected, not only the first; parameters that are not ours are left alone.
 */
import type { AgentError } from "../errors.ts";
import { type Parameter, parseCommandLine } from "./command-line.ts";
import {
  createDraft,
  readDutOptions,
  refuseMissing,
  refuseOpenQuote,
  warnOfInitWords,
  wrapCommand,
} from "./dut-options-reader.ts";
import type { Job } from "./job.ts";
import { findLineWarnings } from "./line-warnings.ts";
import type { JobDraft } from "./options.ts";

export interface ReadJob {
  /** Absent when there is any error. */
  job?: Job;
  /** In the order of the line, then what is missing. */
  errors: AgentError[];
  warnings: string[];
}

/** Never throws for anything that stands in `line`, the text of /proc/cmdline. */
export function readDutDialect(line: string, { jobFile }: { jobFile?: readonly Parameter[] } = {}): ReadJob {
  const { parameters, initParameters, isUnterminated } = parseCommandLine(line.trimEnd());
  const draft = createDraft();
  const read = readDutOptions(parameters, draft, jobFile && { jobFile });
  const errors = [...read.errors];
  if (!read.seen.has("dut.image"))
    errors.push(refuseMissing("dut.image", "start a job", "which image is the root"));
  if (isUnterminated) errors.push(refuseOpenQuote());
  const warnings = [...findLineWarnings(line), ...read.warnings, ...warnOfInitWords(initParameters)];
  return errors.length > 0 ? { errors, warnings } : { job: finishDraft(draft), errors, warnings };
}

function finishDraft({ root, command, ...draft }: JobDraft): Job {
  const [main] = draft.steps;
  const steps = command === undefined ? draft.steps : [{ ...main!, ...wrapCommand(command) }];
  return { ...draft, root: { ...root, image: root.image! }, steps };
}
