/**
 * Our own dialect: `dut.*` parameters of the kernel command line and of a job file. Parameters without the prefix are ignored.
 */
import { AgentError } from "../../errors.ts";
import { showValue } from "../../redaction/patterns.ts";
import { createMissingError } from "../check-draft.ts";
import type { Job } from "../job.ts";
import { chooseRoot, finishDraft, type JobDraft } from "../job-draft.ts";
import { createOpenQuoteError, type JobReader, type OptionLookup } from "../job-reader.ts";
import type { CommandLine, Parameter } from "../syntax/command-line.ts";
import { findNearestName } from "../syntax/nearest-name.ts";
import { DUT_PREFIX, findOption, OPTIONS } from "./options.ts";

/** Absent when there is any error. Its root is undefined where each step has an image, or a job file is still to come. */
export function readDutDialect(
  reader: JobReader,
  line: CommandLine,
  jobFile: readonly Parameter[] | undefined,
): Job | undefined {
  const { draft, seen, errors, warnings } = reader;
  const { isComplete } = readDutOptions(reader, line, jobFile);
  errors.push(...checkContradictions(draft, seen), ...(isComplete ? checkRoot(draft, seen) : []));
  if (line.isUnterminated) errors.push(createOpenQuoteError());
  const root = chooseRoot(draft);
  if (root && !("driver" in root) && seen.has("dut.root"))
    warnings.push("dut.root has no effect: an NFS export or a directory of the initrd is used as it is");
  return errors.length > 0 ? undefined : finishDraft(draft, root);
}

/** Reads the `dut.*` options of a job file and a line, in that order. */
export function readDutOptions(
  reader: JobReader,
  { parameters, initParameters }: CommandLine,
  jobFile: readonly Parameter[] | undefined,
): { isComplete: boolean } {
  reader.readAll(jobFile ?? [], lookUpInJobFile);
  reader.readAll(parameters, lookUpDutOption, "the command line overrides the job file");
  // The content of a job file is unknown until it is fetched.
  const isComplete = reader.draft.machine.jobFileUrl === undefined || jobFile !== undefined;
  reader.check({ alias: "dut.s3_alias", fileSystem: "dut.filesystem" }, { isComplete });
  if (!isComplete)
    reader.warnings.push("dut.job is fetched only on the DUT: add --job FILE to see the complete job");
  for (const { name } of initParameters.filter(({ name }) => name.startsWith(DUT_PREFIX)))
    reader.warnings.push(`${showValue(name)} is ignored: words after "--" are passed to init`);
  return { isComplete };
}

export const lookUpDutOption: OptionLookup = (name) => {
  if (!name.startsWith(DUT_PREFIX)) return undefined;
  const option = findOption(name);
  if (option) return option;
  const names = OPTIONS.map((known) => known.name);
  const near = findOption(findNearestName(name, names)!)!;
  return new AgentError(
    "CMDLINE_UNKNOWN_OPTION",
    `Unknown option "${showValue(name)}"; the nearest known one is "${near.name}"`,
    { hint: `\`dutboot --help\` lists all options; write ${near.name} as ${near.example}` },
  );
};

const lookUpInJobFile: OptionLookup = (name) => {
  const option = findOption(name);
  if (option && !option.isOfLine) return option;
  const short = (full: string) => full.slice(DUT_PREFIX.length);
  if (option)
    return new AgentError(
      "JOB_FILE_INVALID",
      `Cannot use "${short(name)}" in the job file: it is an option of the command line only`,
      { hint: `Remove "${short(name)}" from the job file` },
    );
  const names = OPTIONS.filter(({ isOfLine }) => !isOfLine).map((known) => short(known.name));
  return new AgentError(
    "CMDLINE_UNKNOWN_OPTION",
    `Unknown option "${showValue(short(name))}" of the job file; the nearest known one is "${findNearestName(short(name), names)}"`,
    { hint: "docs/job.schema.json and `dutboot --help` list all options" },
  );
};

/** Options that describe the root's own step or change the root. */
const ROOT_OPTION_NAMES = [
  "dut.run",
  "dut.init",
  "dut.shell",
  "dut.env",
  "dut.mount",
  "dut.container",
  "dut.artifact",
  "dut.root",
];

/** Whether there is something to run, and a root for the options that need one. */
function checkRoot(
  { steps, command, init, shell, rootStep }: JobDraft,
  seen: ReadonlySet<string>,
): AgentError[] {
  if (seen.has("dut.image")) return [];
  if (seen.has("dut.rootfs")) {
    const hasCommand = command ?? init ?? (shell || undefined) ?? rootStep.entrypoint;
    if (hasCommand !== undefined || seen.has("dut.run") || seen.has("dut.init")) return [];
    const what = "what to run, or add dut.init=/sbin/init or dut.shell=yes";
    return [createMissingError("dut.run", 'start a job in "dut.rootfs"', what)];
  }
  if (!steps.some(({ kind }) => kind === "main") && !seen.has("dut.step"))
    return [createMissingError("dut.image", "start a job", "which image is the root")];
  return ROOT_OPTION_NAMES.filter((name) => seen.has(name)).map((name) =>
    createMissingError("dut.image", `use "${name}"`, "which image is its root"),
  );
}

function checkContradictions(
  { image, rootSources, command, init, shell }: JobDraft,
  seen: ReadonlySet<string>,
): AgentError[] {
  const errors: AgentError[] = [];
  const report = (message: string, hint = "Remove one of the two") =>
    errors.push(new AgentError("CMDLINE_BAD_VALUE", message, { hint }));
  if (image && seen.has("dut.rootfs"))
    report('Cannot use "dut.rootfs" together with "dut.image": a job has one root');
  const single = rootSources.find((source) => !("archive" in source));
  if (single && rootSources.length > 1) {
    report(
      `Cannot combine ${rootSources.length} "dut.rootfs": ${"nfs" in single ? "an NFS export" : "a directory"} is a complete root`,
      "Stack archives only; unpack archives over an export or a directory with dut.artifact",
    );
  }
  const [first, second] = [
    command !== undefined && "dut.run",
    init && "dut.init",
    shell && "dut.shell",
  ].filter((name) => typeof name === "string");
  if (second !== undefined) report(`Cannot use "${second}" together with "${first}": both say what to run`);
  return errors;
}
