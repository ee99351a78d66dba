/**
 * From the text of a command line to a Job, in whatever dialect it is written: the DUT and `dutboot explain` read it here.
 */
import { B2C_PREFIX, readB2cDialect } from "./b2c/dialect.ts";
import { readDutDialect } from "./dut/dialect.ts";
import type { Dialect, Job } from "./job.ts";
import { isNfsRootLine, readNfsRootDialect } from "./nfsroot/dialect.ts";
import type { ReadAnyJob } from "./read-result.ts";
import { type Parameter, parseCommandLine } from "./syntax/command-line.ts";

export interface ReadLine extends Omit<ReadAnyJob, "job"> {
  dialect: Dialect;
  /** Absent where errors left nothing of it. */
  job?: Job;
}

export interface ReadLineOptions {
  /** What the DUT fetches from b2c.extra_args_url. */
  extraArguments?: string;
  /** Parameters of a job file. */
  jobFile?: readonly Parameter[];
}

/** A root or a container of our own; a job file alone may as well belong to another dialect. */
const OUR_OWN = new Set(["dut.image", "dut.rootfs", "dut.step", "dut.service", "dut.post"]);

/** Our own root decides; then boot2container's prefix, then an NFS root. What is left is ours, and has to say why not. */
export function chooseDialect(parameters: readonly Pick<Parameter, "name" | "value">[]): Dialect {
  const has = (test: (name: string) => boolean) => parameters.some(({ name }) => test(name));
  if (has((name) => OUR_OWN.has(name))) return "dut";
  if (has((name) => name.startsWith(B2C_PREFIX))) return "b2c";
  return isNfsRootLine(parameters as Parameter[]) ? "nfsroot" : "dut";
}

const NO_JOB_FILE = "the job file is not read: boot2container's dialect has extra arguments in its place";

/** Never throws for anything that stands in `line`. */
export function readCommandLine(line: string, { extraArguments, jobFile }: ReadLineOptions = {}): ReadLine {
  const { parameters } = parseCommandLine(line.trimEnd());
  const dialect = chooseDialect([...(jobFile ?? []), ...parameters]);
  if (dialect === "b2c") {
    const { warnings, ...rest } = readB2cDialect(
      line,
      extraArguments === undefined ? {} : { extraArguments },
    );
    return { dialect, ...rest, warnings: [...warnings, ...(jobFile ? [NO_JOB_FILE] : [])] };
  }
  const files = jobFile && { jobFile };
  if (dialect === "nfsroot") return { dialect, ...readNfsRootDialect(line, files) };
  const read = readDutDialect(line, files);
  const unread = parameters.filter(({ name }) => name.startsWith(B2C_PREFIX)).map(({ name }) => name);
  const warnings = [...read.warnings];
  if (unread.length > 0)
    warnings.push(
      `${[...new Set(unread)].join(", ")} is not read: dut.* makes this a job of our own dialect`,
    );
  return { ...read, dialect, warnings };
}
