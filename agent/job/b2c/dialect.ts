/**
 * boot2container's dialect: `b2c.*` parameters, old names and new, as on CI-Tron farms. Unknown options are ignored as
 * boot2container does, with a warning; a container that cannot be read fails when its turn comes.
 */
import { AgentError } from "../../errors.ts";
import { showValue } from "../../redaction/patterns.ts";
import { lookUpDutOption } from "../dut/dialect.ts";
import { LIMIT_OPTIONS } from "../dut/limit-options.ts";
import { CONSOLE_OPTIONS } from "../dut/machine-options.ts";
import type { Job } from "../job.ts";
import { finishDraft, type JobDraft } from "../job-draft.ts";
import { createOpenQuoteError, END_MARKER, type JobReader, type OptionLookup } from "../job-reader.ts";
import type { CommandLine, Parameter } from "../syntax/command-line.ts";
import { findNearestName } from "../syntax/nearest-name.ts";
import { type B2cLine, parseB2cLine, splitEchoedValue } from "./command-line.ts";
import { B2C_OPTIONS, findB2cOption, UNDOCUMENTED_OPTIONS } from "./options.ts";

export const B2C_PREFIX = "b2c.";

/** `dut.*` options for what boot2container has no options for; no others may be combined with `b2c.*`. */
const COMBINABLE = new Set([
  "dut.cache_format",
  "dut.cache_quota",
  "dut.insecure",
  ...LIMIT_OPTIONS.map(({ name }) => name),
  "dut.results",
  "dut.s3",
  "dut.mirror",
  "dut.log",
  ...CONSOLE_OPTIONS.map(({ name }) => name),
  "dut.netconsole",
  "dut.on_exit",
  "dut.watchdog",
  END_MARKER,
]);

/** `extraArguments` is the text of b2c.extra_args_url, once it has been fetched. */
export function readB2cDialect(reader: JobReader, { text }: CommandLine, extraArguments?: string): Job {
  const { draft, errors, warnings } = reader;
  const line = parseB2cLine(text);
  const extra = extraArguments === undefined ? undefined : parseB2cLine(extraArguments);
  if (line.isUnterminated) errors.push(createOpenQuoteError());
  if (extra?.isUnterminated) errors.push(createOpenQuoteError());
  reader.readAll(splitValues(line), lookUp);
  reader.readAll(splitValues(extra), lookUpInExtra, "the extra arguments override the command line");
  const isComplete = draft.machine.extraArgumentsUrl === undefined || extra !== undefined;
  reader.check({ alias: "b2c.minio", fileSystem: "b2c.filesystem" }, { isComplete });
  if (isComplete) warnings.push(...findGaps(draft));
  else
    warnings.push(
      "b2c.extra_args_url is fetched only on the DUT: add --extra-args FILE to see the complete job",
    );
  return finishDraft(draft, undefined);
}

/** The value of a repeatable option may be several. */
function splitValues({ parameters }: B2cLine = { parameters: [], isUnterminated: false }): Parameter[] {
  return parameters.flatMap((parameter) => {
    const { name, value } = parameter;
    if (value === undefined || !findB2cOption(name)?.isRepeatable) return parameter;
    return splitEchoedValue(value).map((part) => ({ name, value: part }));
  });
}

const lookUp: OptionLookup = (name) => {
  const option = findB2cOption(name);
  if (option) return option;
  if (!name.startsWith(B2C_PREFIX)) return COMBINABLE.has(name) ? lookUpDutOption(name) : refuseOption(name);
  if (UNDOCUMENTED_OPTIONS.test(name)) return `${name} is undocumented and ignored, as boot2container does`;
  const names = B2C_OPTIONS.flatMap((known) => [known.name, ...(known.aliases ?? [])]);
  return `${showValue(name)} is unknown and ignored, as boot2container does; the nearest known option is "${findNearestName(name, names)}"`;
};

/** A file of extra arguments that names another is followed one level only. */
const lookUpInExtra: OptionLookup = (name) =>
  name === "b2c.extra_args_url" ? `${name} among the extra arguments is ignored` : lookUp(name);

function refuseOption(name: string): AgentError | undefined {
  const option = lookUpDutOption(name);
  if (option === undefined || option instanceof AgentError) return option as AgentError | undefined;
  return new AgentError(
    "CMDLINE_MIXED_DIALECTS",
    `Cannot use "${name}" together with b2c.*: it belongs to our own dialect`,
    { hint: `Remove it; with b2c.* only these can be used: ${[...COMBINABLE].join(", ")}` },
  );
}

/** What boot2container only logs. */
function findGaps({ machine, cacheFileSystem, fileSystems = [], cache, steps }: JobDraft): string[] {
  const gaps: string[] = [];
  if (cacheFileSystem !== undefined && !fileSystems.some(({ name }) => name === cacheFileSystem)) {
    const shown = showValue(cacheFileSystem);
    gaps.push(
      `b2c.cache_device=${shown} names neither a device nor a b2c.filesystem; the job runs without a cache`,
    );
  }
  const hasCache = cache.choice !== "none" || cacheFileSystem !== undefined;
  if (machine.swap && "sizeBytes" in machine.swap && !hasCache)
    gaps.push("b2c.swap with a size needs a cache device; the job runs without swap");
  if (!steps.some(({ kind }) => kind === "main")) gaps.push("no container runs: the line has no b2c.run");
  return gaps;
}
