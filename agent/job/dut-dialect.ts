/**
 * Our own dialect: `dut.*` parameters of the kernel command line become a Job.
 * Every complaint is collected, not only the first; parameters that are not ours are left alone.
 */
import { AgentError } from "../errors.ts";
import { parseCommandLine } from "./command-line.ts";
import { parseIpParameter } from "./ip-parameter.ts";
import type { Job } from "./job.ts";
import { findLineWarnings } from "./line-warnings.ts";
import { findNearestName } from "./nearest-name.ts";
import { findOption, type JobDraft, OPTIONS, readOption } from "./options.ts";
import { showValue } from "./redact.ts";

const PREFIX = "dut.";

export interface ReadJob {
  /** Absent when there is any error. */
  job?: Job;
  /** In the order of the line, then what is missing. */
  errors: AgentError[];
  warnings: string[];
}

/** Never throws for anything that stands in `line`, the text of /proc/cmdline. */
export function readDutDialect(line: string): ReadJob {
  const { parameters, initParameters, isUnterminated } = parseCommandLine(line.trimEnd());
  const errors: AgentError[] = [];
  const warnings = findLineWarnings(line);
  const draft = createDraft();
  const seen = new Set<string>();
  const collect = (read: () => void) => {
    try {
      read();
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      errors.push(error);
    }
  };

  for (const { name, value } of parameters) {
    if (name === "ip" && value !== undefined) draft.ip = value;
    if (!name.startsWith(PREFIX)) continue;
    const option = findOption(name);
    if (!option) {
      errors.push(refuseUnknown(name));
      continue;
    }
    // As the kernel does with its own parameters.
    if (seen.has(name) && !option.isRepeatable)
      warnings.push(`${name} stands more than once: the last one counts`);
    seen.add(name);
    collect(() => readOption(option, value, draft));
  }
  const { ip } = draft;
  if (ip !== undefined) collect(() => parseIpParameter(ip));

  for (const { name } of initParameters) {
    if (!name.startsWith(PREFIX)) continue;
    warnings.push(`${showValue(name)} stands behind "--", where words are init's: it is not read`);
  }
  errors.push(...findMissing(seen));
  if (isUnterminated) errors.push(refuseOpenQuote());
  return errors.length > 0 ? { errors, warnings } : { job: finishDraft(draft), errors, warnings };
}

/** Leaves room for what the file system itself needs, and for the image of the next job. */
const DEFAULT_QUOTA_PERCENT = 80;

function createDraft(): JobDraft {
  return {
    dialect: "dut",
    root: { driver: "auto" },
    cache: { choice: "none", mayFormat: false, quota: { percent: DEFAULT_QUOTA_PERCENT } },
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
  return { ...draft, root: { ...root, image: root.image! }, steps };
}

/** Told by what stands in the line, whether its value could be read or not. */
function findMissing(seen: ReadonlySet<string>): AgentError[] {
  const missing: AgentError[] = [];
  const miss = (name: string, tried: string, does: string) =>
    missing.push(
      new AgentError("CMDLINE_MISSING_OPTION", `Cannot ${tried}: the command line has no "${name}"`, {
        hint: `Say ${does}: ${findOption(name)!.example}`,
      }),
    );
  if (!seen.has("dut.image")) miss("dut.image", "start a job", "which image is the root");
  if (seen.has("dut.results") && !seen.has("dut.s3"))
    miss("dut.s3", 'upload to "dut.results"', "which service holds the bucket");
  return missing;
}

function refuseUnknown(name: string): AgentError {
  const names = OPTIONS.map((option) => option.name);
  const near = findOption(findNearestName(name, names)!)!;
  return new AgentError(
    "CMDLINE_UNKNOWN_OPTION",
    `Cannot understand "${showValue(name)}": there is no such option; the nearest known one is "${near.name}"`,
    { hint: `\`dutboot --help\` lists all options; ${near.name} is written ${near.example}` },
  );
}

function refuseOpenQuote(): AgentError {
  return new AgentError("CMDLINE_UNTERMINATED_QUOTE", 'Cannot read the command line: a `"` is never closed');
}
