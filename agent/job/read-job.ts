/**
 * From a command line to a Job, in whatever dialect it is written. The DUT and `dutboot explain` both read it here.
 */
import { AgentError } from "../errors.ts";
import { findSecrets } from "../redaction/patterns.ts";
import { B2C_PREFIX, readB2cDialect } from "./b2c/dialect.ts";
import { readDutDialect } from "./dut/dialect.ts";
import type { Dialect, Job } from "./job.ts";
import { END_MARKER, JobReader } from "./job-reader.ts";
import { CMDLINE_CUT_BYTES, CMDLINE_END_BYTES, CMDLINE_WARN_BYTES } from "./limits.ts";
import { isNfsRootLine, readNfsRootDialect } from "./nfsroot/dialect.ts";
import { type CommandLine, type Parameter, parseCommandLine } from "./syntax/command-line.ts";
import { undoLoaderEscapes } from "./syntax/loader-escapes.ts";

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
  /** The farm declares that its loaders cut no line (WHOLE_LINES_FILE). */
  linesArriveWhole?: boolean;
}

/** In an archive of the farm: its loaders pass lines on whole, whatever their length. */
export const WHOLE_LINES_FILE = "/etc/dutboot/whole-lines";

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
export function readJob(
  arrived: CommandLine,
  { extraArguments, jobFile, linesArriveWhole = false }: FetchedFiles = {},
): ReadLine {
  const { text, warning, error } = undoLoaderEscapes(arrived.text);
  const line = text === arrived.text ? arrived : parseCommandLine(text);
  const dialect = chooseDialect([...(jobFile ?? []), ...line.parameters]);
  const reader = new JobReader(dialect);
  const { errors, warnings } = reader;
  if (warning !== undefined) warnings.push(warning);
  if (error !== undefined) {
    const message = `Cannot read the command line: ${error}`;
    errors.push(new AgentError("CMDLINE_LOADER_ESCAPES", message));
  }
  warnings.push(...findSecrets(line.text));
  checkLength(arrived, reader, { linesArriveWhole });
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

/**
 * Loaders cut lines without a word: iPXE at 2,046 bytes, U-Boot's pxe at 1,024, and GRUB drops the word that does not fit and all
 * behind it; so does the kernel at its own size. What is left may run something else, and pass.
 */
function checkLength(
  { text, parameters }: CommandLine,
  { draft, errors, warnings }: JobReader,
  { linesArriveWhole }: { linesArriveWhole: boolean },
): void {
  const bytes = Buffer.byteLength(text);
  if (linesArriveWhole || parameters.some(({ name }) => name === END_MARKER)) return;
  const isCut = draft.dialect === "dut" ? bytes > CMDLINE_END_BYTES : bytes >= CMDLINE_CUT_BYTES;
  if (isCut) {
    const message = `Cannot trust the command line: it has ${bytes} bytes, and nothing shows that no loader cut it`;
    errors.push(new AgentError("CMDLINE_MAY_BE_CUT", message));
  } else if (bytes >= CMDLINE_WARN_BYTES)
    warnings.push(`the command line has ${bytes} bytes: many boot loaders cut a line without a word`);
}
