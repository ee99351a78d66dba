/**
 * boot2container's dialect: `b2c.*` parameters, as on CI-Tron farms, become a Job. Its own quoting, old and new names.
 * Unknown options are ignored as the original does, but told; a container that cannot be read fails when its turn comes.
 */
import { AgentError } from "../../errors.ts";
import { showValue } from "../../redaction/patterns.ts";
import { CONSOLE_OPTIONS } from "../dut/console-options.ts";
import { createDraft, finishMachine, listInsecureRegistries } from "../dut/job-draft.ts";
import { LIMIT_OPTIONS } from "../dut/limit-options.ts";
import { DUT_PREFIX, END_MARKER, readDutOptions, refuseOpenQuote } from "../dut/read-options.ts";
import type { Job } from "../job.ts";
import { findLineWarnings } from "../line-warnings.ts";
import type { ReadAnyJob } from "../read-result.ts";
import { readB2cContainer, showPipelineVariable } from "../syntax/container-value.ts";
import { findNearestName } from "../syntax/nearest-name.ts";
import type { VariableLookup } from "../syntax/shell-words.ts";
import type { ReadingRules } from "../syntax/sub-parameters.ts";
import { explainValueError } from "../syntax/values.ts";
import { findUnknownNames } from "../undefined-names.ts";
import { type B2cParameter, parseB2cLine, splitEchoedValue } from "./command-line.ts";
import {
  B2C_OPTIONS,
  type B2cDraft,
  type B2cOption,
  findB2cOption,
  UNDOCUMENTED_OPTIONS,
} from "./options.ts";

export const B2C_PREFIX = "b2c.";

export interface B2cOptions {
  /** The text behind b2c.extra_args_url, once it has been fetched. */
  extraArguments?: string;
  /** The pipeline's variables, where they have values yet. */
  lookup?: VariableLookup;
}

/** `dut.*` options that a job of this dialect may use: what boot2container has no words for. */
const BESIDE = new Set([
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

/** Never throws for anything that stands in `line`. */
export function readB2cDialect(line: string, options: B2cOptions = {}): ReadAnyJob {
  const { extraArguments, lookup = showPipelineVariable } = options;
  const errors: AgentError[] = [];
  const warnings = findLineWarnings(line);
  const { cache, limits, onExit } = createDraft();
  const draft: B2cDraft = {
    dialect: "b2c",
    root: undefined,
    artifacts: [],
    steps: [],
    insecureHosts: [],
    machine: {},
    end: {},
    cache,
    limits,
    onExit,
  };

  const ofLine = parseB2cLine(line);
  const ofFile = extraArguments === undefined ? undefined : parseB2cLine(extraArguments);
  if (ofLine.isUnterminated) errors.push(refuseOpenQuote());
  if (ofFile?.isUnterminated) errors.push(refuseOpenQuote());
  const parameters = [...ofLine.parameters, ...withoutUrl(ofFile?.parameters ?? [], warnings)];

  const seen = new Set<string>();
  for (const parameter of parameters) {
    const option = findB2cOption(parameter.name);
    if (!option) {
      if (parameter.name.startsWith(B2C_PREFIX)) warnings.push(describeUnknown(parameter.name));
      continue;
    }
    const [name] = option.names;
    if (seen.has(name!) && !option.isRepeatable && option.form !== undefined)
      warnings.push(`${parameter.name} stands more than once: the last one counts`);
    seen.add(name!);
    readParameter(option, parameter, draft, { errors, warnings, lookup });
  }

  const beside = readBeside(parameters, draft);
  // What extra arguments hold is not known before they are fetched.
  const isWhole = draft.machine.extraArgumentsUrl === undefined || extraArguments !== undefined;
  errors.push(...beside.errors, ...(isWhole ? findUnknownNames(draft, DEFINING) : []));
  warnings.push(...beside.warnings, ...(isWhole ? findGaps(draft) : [NOT_FOLLOWED]));
  return { job: finishDraft(draft), errors, warnings };
}

/** For readers that have nothing to warn of. */
const LENIENT: ReadingRules = { warn: () => {}, isStrict: false };

interface Sink {
  errors: AgentError[];
  warnings: string[];
  lookup: VariableLookup;
}

function readParameter(
  option: B2cOption,
  { name, value }: B2cParameter,
  draft: B2cDraft,
  { errors, warnings, lookup }: Sink,
): void {
  if (option.form === undefined) {
    // The original compares the whole word.
    if (value === undefined) option.read?.("", draft, LENIENT);
    else warnings.push(`${name} takes no value: "${showValue(`${name}=${value}`)}" is ignored`);
    return;
  }
  if (value === undefined) {
    warnings.push(`${name} has no value and is ignored: write ${name}=${option.form}`);
    return;
  }
  for (const piece of option.isRepeatable ? splitEchoedValue(value) : [value]) {
    if (option.step) {
      const step = readB2cContainer(option.step, piece, {
        option: name,
        lookup,
        warn: (warning) => warnings.push(warning),
      });
      draft.steps.push(step);
      if (step.error) errors.push(step.error);
      continue;
    }
    try {
      option.read?.(piece, draft, {
        warn: (warning) => warnings.push(`${name}: ${warning}`),
        isStrict: false,
      });
    } catch (error) {
      const shown = name === "b2c.minio" ? piece.split(",", 1)[0]! : showValue(piece);
      errors.push(
        new AgentError("CMDLINE_BAD_VALUE", `Cannot read "${name}=${shown}": ${explainValueError(error)}`, {
          hint: `Write it as ${name}=${option.form}`,
        }),
      );
    }
  }
}

/** One level: a file of extra arguments that names another is not followed. */
function withoutUrl(parameters: readonly B2cParameter[], warnings: string[]): B2cParameter[] {
  const kept = parameters.filter(({ name }) => name !== "b2c.extra_args_url");
  if (kept.length < parameters.length)
    warnings.push("b2c.extra_args_url among the extra arguments is not followed");
  return kept;
}

function describeUnknown(name: string): string {
  if (UNDOCUMENTED_OPTIONS.test(name))
    return `${name} is known by name only, and ignored as boot2container does`;
  const names = B2C_OPTIONS.flatMap((option) => option.names);
  return `${showValue(name)} is unknown and ignored as boot2container does; the nearest known option is "${findNearestName(name, names)}"`;
}

/** Options of ours in a line of theirs. */
function readBeside(parameters: readonly B2cParameter[], draft: B2cDraft) {
  const ours = parameters
    .filter(({ name }) => name.startsWith(DUT_PREFIX) || name === "ip")
    .map(({ name, value }) => ({ name, value, text: name, start: 0 }));
  const target = createDraft();
  target.cache = draft.cache;
  target.insecureHosts = draft.insecureHosts;
  const { errors, warnings } = readDutOptions(ours, target, {
    refuse: (name) => (BESIDE.has(name) ? undefined : refuseMixture(name)),
  });
  const { limits, onExit, ip, results, s3, mirrors, logTo, consolePorts, color, machine } = target;
  if (machine.netconsole) draft.machine.netconsole = machine.netconsole;
  Object.assign(
    draft,
    { limits, onExit },
    ip !== undefined && { ip },
    ...[results && { results }, s3 && { s3 }, mirrors && { mirrors }, logTo && { logTo }],
    consolePorts && { consolePorts },
    color && { color },
  );
  return { errors, warnings };
}

function refuseMixture(name: string): AgentError {
  return new AgentError(
    "CMDLINE_MIXED_DIALECTS",
    `Cannot use "${name}" beside b2c.*: of our own options only ${[...BESIDE].join(", ")} may stand there`,
  );
}

const DEFINING = { alias: "b2c.minio", fileSystem: "b2c.filesystem" };

const NOT_FOLLOWED =
  "b2c.extra_args_url is followed on the DUT only: give its content with --extra-args FILE to see the whole job";

/** What boot2container goes on without, with no more than a line in the log. */
function findGaps({ machine, cacheFileSystem, fileSystems = [], cache, steps }: B2cDraft): string[] {
  const gaps: string[] = [];
  if (cacheFileSystem !== undefined && !fileSystems.some(({ name }) => name === cacheFileSystem)) {
    const shown = showValue(cacheFileSystem);
    gaps.push(`b2c.cache_device=${shown} is neither a device nor a b2c.filesystem: there is no cache`);
  }
  const hasCache = cache.choice !== "none" || cacheFileSystem !== undefined;
  if (machine.swap && "sizeBytes" in machine.swap && !hasCache)
    gaps.push("b2c.swap of a size needs a cache device: there is no swap");
  if (!steps.some(({ kind }) => kind === "main")) gaps.push("no container is run: the line has no b2c.run");
  return gaps;
}

function finishDraft({ end, machine, ...draft }: B2cDraft): Job {
  const insecureHosts = [...new Set([...draft.insecureHosts, ...listInsecureRegistries(draft.steps)])];
  return { ...draft, machine: finishMachine(machine, end).machine ?? {}, insecureHosts };
}
