/**
 * The kernel's own NFS root, as LAVA and bare-metal farms write it: `root=/dev/nfs nfsroot=… ip=… init=…` become a Job.
 * Documentation/admin-guide/nfs/nfsroot.rst; with our initrd the agent mounts the root, so a name may stand for the server.
 */
import { AgentError } from "../../errors.ts";
import { showValue } from "../../redaction/patterns.ts";
import { createDraft, finishDraft } from "../dut/job-draft.ts";
import { readDutOptions, refuseOpenQuote, warnOfInitWords } from "../dut/read-options.ts";
import type { NfsRoot } from "../job.ts";
import { findLineWarnings } from "../line-warnings.ts";
import type { ReadAnyJob } from "../read-result.ts";
import { type Parameter, parseCommandLine } from "../syntax/command-line.ts";
import { parseNfsVersion } from "../syntax/locations.ts";
import { explainValueError, ValueError } from "../syntax/values.ts";

const NFS_ROOT_DEVICE = "/dev/nfs";
/** Where the kernel looks when nobody says a path. */
const DEFAULT_PATH = "/tftpboot/%s";
const DEFAULT_INIT = "/sbin/init";

export function isNfsRootLine(parameters: readonly Parameter[]): boolean {
  return parameters.some(({ name, value }) => name === "root" && value === NFS_ROOT_DEVICE);
}

/** Never throws for anything that stands in `line`. */
export function readNfsRootDialect(
  line: string,
  { jobFile }: { jobFile?: readonly Parameter[] } = {},
): ReadAnyJob {
  const { parameters, initParameters, isUnterminated } = parseCommandLine(line.trimEnd());
  const draft = createDraft();
  const read = readDutOptions(parameters, draft, jobFile && { jobFile });
  const errors = [...read.errors];
  const last = (name: string) => parameters.findLast((parameter) => parameter.name === name)?.value;
  let nfs: NfsRoot["nfs"] = { options: [], isWritable: isWritable(parameters) };
  const text = last("nfsroot");
  try {
    nfs = { ...nfs, ...parseNfsRoot(text ?? "") };
  } catch (error) {
    errors.push(
      new AgentError(
        "CMDLINE_BAD_VALUE",
        `Cannot read "nfsroot=${showValue(text!)}": ${explainValueError(error)}`,
        {
          hint: "Write it as nfsroot=10.0.0.1:/export/root,tcp,vers=4.2",
        },
      ),
    );
  }
  if (isUnterminated) errors.push(refuseOpenQuote());

  const hasWords = draft.command !== undefined || draft.init !== undefined || draft.shell;
  if (!hasWords) draft.init = [last("init") || DEFAULT_INIT, ...initParameters.map(formatInitWord)];
  const job = finishDraft({ ...draft, dialect: "nfsroot" }, { nfs });
  const warnings = [...findLineWarnings(line), ...read.warnings, ...warnOfInitWords(initParameters)];
  return { job, errors, warnings };
}

/** The kernel mounts its root read-only unless `rw` comes last. */
function isWritable(parameters: readonly Parameter[]): boolean {
  return (
    parameters.findLast(({ name, value }) => (name === "rw" || name === "ro") && value === undefined)
      ?.name === "rw"
  );
}

/** The kernel hands a word behind `--` over without its quotes. */
function formatInitWord({ name, value }: Parameter): string {
  return value === undefined ? name : `${name}=${value}`;
}

/** `[SERVER:][PATH][,OPTION…]`; throws ValueError. */
function parseNfsRoot(text: string): Omit<NfsRoot["nfs"], "isWritable"> {
  const [place = "", ...words] = text.split(",");
  const { server, path } = parsePlace(place);
  const options: string[] = [];
  let version: string | undefined;
  for (const word of words.filter((option) => option !== "")) {
    const named = /^(?:v|(?:nfs)?vers=)(\d(?:\.\d)?)$/.exec(word);
    if (named) version = named[1]!;
    else if (/\s/.test(word)) throw new ValueError(`has the option "${showValue(word)}"`);
    else options.push(word);
  }
  if (version !== undefined) parseNfsVersion(version);
  return { server: server || undefined, path: path || undefined, version: version || undefined, options };
}

function parsePlace(place: string): { server?: string; path?: string } {
  const [, server, path = ""] = /^(?:(\[[0-9a-fA-F:.]+\]|[^:/]*):)?(.*)$/s.exec(place)!;
  if (server && !/^(\[.*\]|[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?)$/.test(server))
    throw new ValueError(`has the server "${showValue(server)}", which is neither an address nor a name`);
  if (path !== "" && !path.startsWith("/"))
    throw new ValueError(`has the path "${showValue(path)}", which is not absolute`);
  // Neither given: both are in the DHCP answer. A server alone: the kernel's own path.
  if (!server && path === "") return {};
  return { server: server || undefined, path: path === "" ? DEFAULT_PATH : path };
}
