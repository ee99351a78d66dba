/**
 * Our own dialect: `dut.*` parameters of the kernel command line become a Job.
 * Every complaint is collected, not only the first; parameters that are not ours are left alone.
 */
import { AgentError } from "../../errors.ts";
import type { Job } from "../job.ts";
import { findLineWarnings } from "../line-warnings.ts";
import { type Parameter, parseCommandLine } from "../syntax/command-line.ts";
import { chooseRoot, createDraft, finishDraft, type JobDraft } from "./job-draft.ts";
import { readDutOptions, refuseMissing, refuseOpenQuote, warnOfInitWords } from "./read-options.ts";

export interface ReadJob {
  /** Absent when there is any error. Its root is undefined where each step has an image, or a job file is still to come. */
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
  const errors = [
    ...read.errors,
    ...findContradictions(draft, read.seen),
    ...(read.isWhole ? findMissing(draft, read.seen) : []),
  ];
  if (isUnterminated) errors.push(refuseOpenQuote());
  const root = chooseRoot(draft);
  const isMade = !root || "driver" in root;
  const warnings = [
    ...findLineWarnings(line),
    ...read.warnings,
    ...(isMade || !read.seen.has("dut.root") ? [] : [NOTHING_TO_MAKE]),
    ...warnOfInitWords(initParameters),
  ];
  if (errors.length > 0) return { errors, warnings };
  return { job: finishDraft(draft, root), errors, warnings };
}

const NOTHING_TO_MAKE = "dut.root is not read: an NFS export or a directory of the initrd is a root as it is";

/** Options that speak of the root's own step, or of what lies in the root. */
const OF_ROOT = [
  "dut.run",
  "dut.init",
  "dut.shell",
  "dut.env",
  "dut.mount",
  "dut.container",
  "dut.artifact",
  "dut.root",
];

function findMissing(
  { steps, command, init, shell, own }: JobDraft,
  seen: ReadonlySet<string>,
): AgentError[] {
  if (seen.has("dut.image")) return [];
  if (seen.has("dut.rootfs")) {
    const isClear = command ?? init ?? shell ?? own.entrypoint;
    if (isClear !== undefined || ["dut.run", "dut.init"].some((name) => seen.has(name))) return [];
    return [
      refuseMissing(
        "dut.run",
        'start a job in "dut.rootfs"',
        "what to run, or dut.init=/sbin/init, or dut.shell=yes",
      ),
    ];
  }
  if (!steps.some(({ kind }) => kind === "main") && !seen.has("dut.step"))
    return [refuseMissing("dut.image", "start a job", "which image is the root")];
  return OF_ROOT.filter((name) => seen.has(name)).map((name) =>
    refuseMissing("dut.image", `use "${name}"`, "which image is its root"),
  );
}

function findContradictions(
  { image, rootSources, command, init, shell }: JobDraft,
  seen: ReadonlySet<string>,
): AgentError[] {
  const refuse = (message: string, hint: string) => new AgentError("CMDLINE_BAD_VALUE", message, { hint });
  const words = [
    ...(command === undefined ? [] : ["dut.run"]),
    ...(init ? ["dut.init"] : []),
    ...(shell ? ["dut.shell"] : []),
  ];
  const [first, second] = words;
  const alone = rootSources.find((source) => !("archive" in source));
  return [
    ...(image && seen.has("dut.rootfs")
      ? [refuse('Cannot use "dut.rootfs" beside "dut.image": a job has one root', "Take one of the two out")]
      : []),
    ...(alone && rootSources.length > 1
      ? [
          refuse(
            `Cannot stack ${rootSources.length} of "dut.rootfs": ${"nfs" in alone ? "an NFS export" : "a directory"} is a root by itself`,
            "Stack archives only; what goes over an export or a directory is a dut.artifact",
          ),
        ]
      : []),
    ...(second === undefined
      ? []
      : [
          refuse(
            `Cannot use "${second}" beside "${first}": one of them is what runs`,
            "Take one of the two out",
          ),
        ]),
  ];
}
