/**
 * Reads every `dut.*` parameter into a draft and collects every complaint: for our own dialect, and for `dut.*` words that
 * stand beside another dialect's.
 */
import { AgentError } from "../errors.ts";
import type { Parameter } from "./command-line.ts";
import { findRefusedUrls } from "./insecure-hosts.ts";
import { parseIpParameter } from "./ip-parameter.ts";
import { findNearestName } from "./nearest-name.ts";
import { findOption, type JobDraft, OPTIONS, readOption } from "./options.ts";
import { showValue } from "./redact.ts";

export const DUT_PREFIX = "dut.";
/** Only a line that has come through whole ends in it. */
export const END_MARKER = "dut.end";

export interface ReadOptions {
  /** In the order of the parameters. */
  errors: AgentError[];
  warnings: string[];
  /** Names that were given, whether their values could be read or not. */
  seen: ReadonlySet<string>;
}

export interface ReadOptionsOptions {
  /** Parameters of a job file: those of the command line win, and that is said. */
  jobFile?: readonly Parameter[];
  /** Why an option cannot stand here, for the dialects it stands beside. */
  refuse?: (name: string) => AgentError | undefined;
}

export function readDutOptions(
  parameters: readonly Parameter[],
  draft: JobDraft,
  { jobFile = [], refuse }: ReadOptionsOptions = {},
): ReadOptions {
  const errors: AgentError[] = [];
  const warnings: string[] = [];
  const seen = new Set<string>();
  const collect = (read: () => void) => {
    try {
      read();
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      errors.push(error);
    }
  };
  const readAll = (from: readonly Parameter[], seenHere: Set<string>) => {
    for (const { name, value } of from) {
      if (name === "ip" && value !== undefined) draft.ip = value;
      if (!name.startsWith(DUT_PREFIX)) continue;
      const option = findOption(name);
      const refusal = option ? refuse?.(name) : refuseUnknown(name);
      if (refusal) errors.push(refusal);
      if (!option || refusal) continue;
      // As the kernel does with its own parameters.
      if (seenHere.has(name) && !option.isRepeatable)
        warnings.push(`${name} stands more than once: the last one counts`);
      else if (seen.has(name) && !option.isRepeatable)
        warnings.push(`${name} of the command line wins over that of the job file`);
      if (seenHere.has(END_MARKER) && name !== END_MARKER)
        warnings.push(`${name} stands behind ${END_MARKER}, which is no end then`);
      seenHere.add(name);
      collect(() => readOption(option, value, draft));
    }
    for (const name of seenHere) seen.add(name);
  };
  readAll(jobFile, new Set());
  readAll(parameters, new Set());
  const { ip } = draft;
  if (ip !== undefined) collect(() => parseIpParameter(ip));
  if (seen.has("dut.results") && !seen.has("dut.s3"))
    errors.push(refuseMissing("dut.s3", 'upload to "dut.results"', "which service holds the bucket"));
  if (draft.artifacts.some(({ url }) => url.startsWith("s3://")) && !seen.has("dut.s3"))
    errors.push(refuseMissing("dut.s3", 'fetch "dut.artifact"', "which service holds the bucket"));
  errors.push(...findRefusedUrls(draft));
  return { errors, warnings, seen };
}

/** `tried` and `says` end "Cannot …" and "Say …". */
export function refuseMissing(name: string, tried: string, says: string): AgentError {
  return new AgentError("CMDLINE_MISSING_OPTION", `Cannot ${tried}: the command line has no "${name}"`, {
    hint: `Say ${says}: ${findOption(name)!.example}`,
  });
}

/** Leaves room for what the file system itself needs, and for the image of the next job. */
const DEFAULT_QUOTA_PERCENT = 80;

/** What a line without any option would ask for. */
export function createDraft(): JobDraft {
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

/** `dut.run`'s text as words: /bin/sh runs it, whatever the image's entrypoint is. */
export function wrapCommand(command: string): { entrypoint: string[]; argv: string[] } {
  return { entrypoint: [], argv: ["/bin/sh", "-c", command] };
}

/** Of options that stand where the kernel has stopped reading. */
export function warnOfInitWords(initParameters: readonly Parameter[]): string[] {
  return initParameters
    .filter(({ name }) => name.startsWith(DUT_PREFIX))
    .map(({ name }) => `${showValue(name)} stands behind "--", where words are init's: it is not read`);
}

export function refuseOpenQuote(): AgentError {
  return new AgentError("CMDLINE_UNTERMINATED_QUOTE", 'Cannot read the command line: a `"` is never closed');
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
