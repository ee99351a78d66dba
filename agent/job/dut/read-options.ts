/**
 * Reads every `dut.*` parameter into a draft and collects every complaint: for our own dialect, and for `dut.*` words that
 * stand beside another dialect's.
 */
import { AgentError } from "../../errors.ts";
import { showValue } from "../../redaction/patterns.ts";
import { findRefusedUrls } from "../insecure-hosts.ts";
import type { Parameter } from "../syntax/command-line.ts";
import { parseIpParameter } from "../syntax/ip-parameter.ts";
import { findNearestName } from "../syntax/nearest-name.ts";
import { findUnknownNames } from "../undefined-names.ts";
import type { JobDraft } from "./job-draft.ts";
import { type Option, readOption } from "./option.ts";
import { findOption, OPTIONS } from "./options.ts";

export const DUT_PREFIX = "dut.";
/** Only a line that has come through whole ends in it. */
export const END_MARKER = "dut.end";

export interface ReadOptions {
  /** In the order of the parameters. */
  errors: AgentError[];
  warnings: string[];
  /** Names that were given, whether their values could be read or not. */
  seen: ReadonlySet<string>;
  /** Nothing of the job is still to be fetched. */
  isWhole: boolean;
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
  { jobFile, refuse }: ReadOptionsOptions = {},
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
  const readAll = (from: readonly Parameter[], seenHere: Set<string>, findRefusal: RefusalFinder) => {
    for (const { name, value } of from) {
      if (name === "ip" && value !== undefined) draft.ip = value;
      if (!name.startsWith(DUT_PREFIX)) continue;
      const option = findOption(name);
      const refusal = findRefusal(name, option);
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
      collect(() => readOption(option, value, draft, (warning) => warnings.push(warning)));
    }
    for (const name of seenHere) seen.add(name);
  };
  readAll(jobFile ?? [], new Set(), (name, option) =>
    option && !option.isOfLine ? undefined : refuseInFile(name, option),
  );
  readAll(parameters, new Set(), (name, option) => (option ? refuse?.(name) : refuseUnknown(name)));
  const { ip } = draft;
  if (ip !== undefined) collect(() => parseIpParameter(ip));
  // What a job file holds is not known before it is fetched.
  const isWhole = draft.machine.jobFileUrl === undefined || jobFile !== undefined;
  if (isWhole) errors.push(...findGaps(draft, seen));
  errors.push(...findRefusedUrls(draft, { isWhole }));
  return { errors, warnings: isWhole ? warnings : [...warnings, NOT_FOLLOWED], seen, isWhole };
}

type RefusalFinder = (name: string, option: Option | undefined) => AgentError | undefined;

const NOT_FOLLOWED =
  "dut.job is followed on the DUT only: give its content with --job FILE to see the whole job";

const DEFINING = { alias: "dut.s3_alias", fileSystem: "dut.filesystem" };

/** What is used and defined nowhere. */
function findGaps(draft: JobDraft, seen: ReadonlySet<string>): AgentError[] {
  const { results, logTo, artifacts, rootSources, machine, fileSystems = [], cacheFileSystem } = draft;
  const usesS3 = (url: string) => url.startsWith("s3://");
  const users = [
    ...(results && "s3" in results.to ? ['upload to "dut.results"'] : []),
    ...(logTo && "s3" in logTo ? ['send the log by "dut.log"'] : []),
    ...(artifacts.some(({ url }) => usesS3(url)) ? ['fetch "dut.artifact"'] : []),
    ...(rootSources.some((source) => "archive" in source && usesS3(source.archive.url))
      ? ['fetch "dut.rootfs"']
      : []),
    ...(machine.jobFileUrl && usesS3(machine.jobFileUrl.url) ? ['fetch "dut.job"'] : []),
  ];
  const systems = new Set(fileSystems.map(({ name }) => name));
  const mounted = [
    ...(cacheFileSystem === undefined ? [] : [["dut.cache", cacheFileSystem] as const]),
    ...(machine.imageStores ?? []).map((name) => ["dut.image_store", name] as const),
  ];
  return [
    ...(seen.has("dut.s3")
      ? []
      : users.map((tried) => refuseMissing("dut.s3", tried, "which service holds the bucket"))),
    ...findUnknownNames(draft, DEFINING),
    ...mounted
      .filter(([, name]) => !systems.has(name))
      .map(
        ([option, name]) =>
          new AgentError(
            "CMDLINE_BAD_VALUE",
            `Cannot use "${showValue(name)}" of ${option}: no dut.filesystem has that name`,
            { hint: "Add dut.filesystem, or correct the name" },
          ),
      ),
  ];
}

/** `tried` and `says` end "Cannot …" and "Say …". */
export function refuseMissing(name: string, tried: string, says: string): AgentError {
  return new AgentError("CMDLINE_MISSING_OPTION", `Cannot ${tried}: the job has no "${name}"`, {
    hint: `Say ${says}: ${findOption(name)!.example}`,
  });
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

function refuseInFile(name: string, option: Option | undefined): AgentError {
  const short = (full: string) => full.slice(DUT_PREFIX.length);
  if (option)
    return new AgentError(
      "JOB_FILE_INVALID",
      `Cannot use "${short(name)}" in the job file: it has a meaning on the command line only`,
      { hint: `Take "${short(name)}" out of the job file` },
    );
  const names = OPTIONS.filter(({ isOfLine }) => !isOfLine).map((known) => short(known.name));
  return new AgentError(
    "CMDLINE_UNKNOWN_OPTION",
    `Cannot understand "${showValue(short(name))}" of the job file: there is no such option; the nearest known one is "${findNearestName(short(name), names)}"`,
    { hint: "docs/job.schema.json has all of them; `dutboot --help` says more" },
  );
}
