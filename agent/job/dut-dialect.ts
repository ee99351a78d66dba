/**
 * Our own dialect: `dut.*` parameters of the kernel command line become a Job.
 * Every complaint is collected, not only the first; parameters that are not ours are left alone.
 */
import { AgentError } from "../errors.ts";
import { CMDLINE_MAX_BYTES, CMDLINE_WARN_BYTES } from "../limits.ts";
import { parseCommandLine } from "./command-line.ts";
import type { Job } from "./job.ts";
import { findNearestName } from "./nearest-name.ts";
import { findOption, type JobDraft, OPTIONS, readOption } from "./options.ts";
import { findSecrets } from "./redact.ts";

export const PREFIX = "dut.";

export interface ReadJob {
  /** Absent when there is any error. */
  job?: Job;
  errors: AgentError[];
  warnings: string[];
}

export function readDutDialect(line: string): ReadJob {
  const { parameters, isUnterminated } = parseCommandLine(line.trimEnd());
  const errors: AgentError[] = [];
  const warnings: string[] = [];
  const draft = createDraft();
  const seen = new Set<string>();

  for (const { name, value } of parameters) {
    if (name === "ip" && value !== undefined) draft.ip = value;
    if (!name.startsWith(PREFIX)) continue;
    const option = findOption(name);
    if (!option) {
      errors.push(unknownOption(name));
      continue;
    }
    if (seen.has(name) && !option.isRepeatable)
      warnings.push(`${name} stands more than once: the last one counts`);
    seen.add(name);
    try {
      readOption(option, value, draft);
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      errors.push(error);
    }
  }

  if (isUnterminated) {
    errors.push(
      new AgentError("CMDLINE_UNTERMINATED_QUOTE", 'Cannot read the command line: a `"` is never closed'),
    );
  }
  if (!seen.has("dut.image")) {
    errors.push(
      new AgentError("CMDLINE_MISSING_OPTION", 'Cannot start a job: the command line has no "dut.image"', {
        hint: `Say which image is the root: ${findOption("dut.image")!.example}`,
      }),
    );
  }
  if (draft.results && !draft.s3 && !errors.length) {
    errors.push(
      new AgentError(
        "CMDLINE_MISSING_OPTION",
        'Cannot upload to "dut.results": the command line has no "dut.s3"',
        {
          hint: `Say which service holds the bucket: ${findOption("dut.s3")!.example}`,
        },
      ),
    );
  }
  warnings.push(...warnOfLength(line), ...findSecrets(line));
  if (errors.length > 0) return { errors, warnings };
  return { job: finishDraft(draft), errors, warnings };
}

function createDraft(): JobDraft {
  return {
    dialect: "dut",
    root: {},
    artifacts: [],
    steps: [{ kind: "main", env: [] }],
    insecureHosts: [],
    limits: {},
    onExit: "poweroff",
  };
}

function finishDraft({ root, command, ...draft }: JobDraft): Job {
  const [main] = draft.steps;
  const steps = command === undefined ? draft.steps : [{ ...main!, argv: ["/bin/sh", "-c", command] }];
  return { ...draft, root: { image: root.image! }, steps };
}

function unknownOption(name: string): AgentError {
  const near = findNearestName(
    name,
    OPTIONS.map((option) => option.name),
  );
  const guess = near === undefined ? "" : `; the nearest known one is "${near}"`;
  return new AgentError(
    "CMDLINE_UNKNOWN_OPTION",
    `Cannot understand "${name}": there is no such option${guess}`,
  );
}

function warnOfLength(line: string): string[] {
  const bytes = Buffer.byteLength(line);
  if (bytes < CMDLINE_WARN_BYTES) return [];
  return [
    `the command line has ${bytes} bytes: x86 kernels cut it at ${CMDLINE_MAX_BYTES}, many boot loaders earlier`,
  ];
}
