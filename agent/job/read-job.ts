/**
 * From a command line to a Job, in whatever dialect it is written. The DUT and `dutboot explain` both read it here.
 */
import type { AgentError } from "../errors.ts";
import { findSecrets } from "../redaction/patterns.ts";
import { B2C_PREFIX, readB2cDialect } from "./b2c/dialect.ts";
import { readDutDialect } from "./dut/dialect.ts";
import type { Dialect, Job } from "./job.ts";
import { JobReader } from "./job-reader.ts";
import { CMDLINE_MAX_BYTES, CMDLINE_WARN_BYTES } from "./limits.ts";
import { isNfsRootLine, readNfsRootDialect } from "./nfsroot/dialect.ts";
import { type CommandLine, type Parameter, parseCommandLine } from "./syntax/command-line.ts";

export interface ReadLine {
  dialect: Dialect;
  /** As far as it could be read; absent where errors leave nothing of it. */
  job?: Job;
  /** In the order of the line, then what is missing; includes the errors of steps. */
  errors: AgentError[];
  warnings: string[];
}

/** What the DUT fetches to complete a line. */
export interface FetchedFiles {
  /** The text of b2c.extra_args_url. */
  extraArguments?: string;
  /** The parameters of dut.job. */
  jobFile?: readonly Parameter[];
}

/** Options with a root or a container: they decide for our dialect. */
const DECISIVE = new Set(["dut.image", "dut.rootfs", "dut.step", "dut.service", "dut.post"]);

/** A line without any mark is ours: its errors say what is missing. */
export function chooseDialect(parameters: readonly Parameter[]): Dialect {
  const has = (test: (name: string) => boolean) => parameters.some(({ name }) => test(name));
  if (has((name) => DECISIVE.has(name))) return "dut";
  if (has((name) => name.startsWith(B2C_PREFIX))) return "b2c";
  return isNfsRootLine(parameters) ? "nfsroot" : "dut";
}

export function readCommandLine(text: string, files: FetchedFiles = {}): ReadLine {
  return readJob(parseCommandLine(text.trimEnd()), files);
}

/** Never throws, whatever the line contains. */
export function readJob(line: CommandLine, { extraArguments, jobFile }: FetchedFiles = {}): ReadLine {
  const dialect = chooseDialect([...(jobFile ?? []), ...line.parameters]);
  const reader = new JobReader(dialect);
  const { errors, warnings } = reader;
  warnings.push(...findSecrets(line.text), ...warnOfLength(line));
  if (dialect === "b2c") {
    const job = readB2cDialect(reader, line, extraArguments);
    if (jobFile)
      warnings.push("the job file is ignored: boot2container's dialect has extra arguments instead");
    return { dialect, job, errors, warnings };
  }
  if (dialect === "nfsroot")
    return { dialect, job: readNfsRootDialect(reader, line, jobFile), errors, warnings };
  const job = readDutDialect(reader, line, jobFile);
  const ignored = new Set(
    line.parameters.map(({ name }) => name).filter((name) => name.startsWith(B2C_PREFIX)),
  );
  if (ignored.size > 0)
    warnings.push(`${[...ignored].join(", ")} ignored: dut.* options make this a job of our own dialect`);
  return { dialect, job, errors, warnings };
}

/** x86 kernels silently cut a line at COMMAND_LINE_SIZE (arch/x86/include/asm/setup.h); other architectures differ. */
function warnOfLength({ text }: CommandLine): string[] {
  const bytes = Buffer.byteLength(text);
  if (bytes < CMDLINE_WARN_BYTES) return [];
  const size = `the command line has ${bytes} bytes`;
  // The last byte is the NUL.
  if (bytes >= CMDLINE_MAX_BYTES - 1)
    return [`${size}: x86 kernels keep ${CMDLINE_MAX_BYTES - 1} and drop the rest`];
  return [`${size}: x86 kernels cut it at ${CMDLINE_MAX_BYTES}, many boot loaders earlier`];
}
