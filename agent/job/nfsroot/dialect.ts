/**
 * The kernel's own NFS root, as LAVA and bare-metal farms write it: `root=/dev/nfs nfsroot=… ip=… init=…` (the kernel's
 * Documentation/admin-guide/nfs/nfsroot.rst). With our initrd the agent mounts the root, so the server may also be a name.
 */
import { AgentError } from "../../errors.ts";
import { showValue } from "../../redaction/patterns.ts";
import { readDutOptions } from "../dut/dialect.ts";
import type { Job, NfsRoot } from "../job.ts";
import { finishDraft } from "../job-draft.ts";
import { createOpenQuoteError, type JobReader } from "../job-reader.ts";
import type { CommandLine, Parameter } from "../syntax/command-line.ts";
import { parseNfsVersion } from "../syntax/locations.ts";
import { explainValueError, splitList, ValueError } from "../syntax/values.ts";

/** The kernel's defaults. */
const DEFAULT_PATH = "/tftpboot/%s";
const DEFAULT_INIT = "/sbin/init";

export function isNfsRootLine(parameters: readonly Parameter[]): boolean {
  return parameters.some(({ name, value }) => name === "root" && value === "/dev/nfs");
}

export function readNfsRootDialect(
  reader: JobReader,
  line: CommandLine,
  jobFile: readonly Parameter[] | undefined,
): Job {
  const { parameters, initParameters, isUnterminated } = line;
  const { draft, errors } = reader;
  readDutOptions(reader, line, jobFile);
  const last = (name: string) => parameters.findLast((parameter) => parameter.name === name)?.value;
  const nfsroot = last("nfsroot") ?? "";
  let nfs: NfsRoot["nfs"] = { options: [], isWritable: isWritable(parameters) };
  try {
    nfs = { ...nfs, ...parseNfsRoot(nfsroot) };
  } catch (error) {
    const message = `Cannot read "nfsroot=${showValue(nfsroot)}": ${explainValueError(error)}`;
    const hint = "Write it as nfsroot=10.0.0.1:/export/root,tcp,vers=4.2";
    errors.push(new AgentError("CMDLINE_BAD_VALUE", message, { hint }));
  }
  if (isUnterminated) errors.push(createOpenQuoteError());
  if (draft.command === undefined && draft.init === undefined && !draft.shell) {
    // The kernel passes a word after `--` to init without its quotes.
    const initArguments = initParameters.map(({ name, value }) =>
      value === undefined ? name : `${name}=${value}`,
    );
    draft.init = [last("init") || DEFAULT_INIT, ...initArguments];
  }
  return finishDraft(draft, { nfs });
}

/** The kernel mounts its root read-only unless `rw` is the last of `rw` and `ro`. */
function isWritable(parameters: readonly Parameter[]): boolean {
  const isMode = ({ name, value }: Parameter) => (name === "rw" || name === "ro") && value === undefined;
  return parameters.findLast(isMode)?.name === "rw";
}

/** `[SERVER:][PATH][,OPTION…]`; throws ValueError. */
function parseNfsRoot(text: string): Omit<NfsRoot["nfs"], "isWritable"> {
  const [location = "", ...rest] = text.split(",");
  const options: string[] = [];
  let version: string | undefined;
  for (const option of splitList(rest.join(","))) {
    const [, number] = /^(?:v|(?:nfs)?vers=)(\d(?:\.\d)?)$/.exec(option) ?? [];
    if (number !== undefined) version = parseNfsVersion(number);
    else if (/\s/.test(option)) throw new ValueError(`has the option "${showValue(option)}"`);
    else options.push(option);
  }
  return { ...parseNfsLocation(location), version, options };
}

function parseNfsLocation(location: string): { server?: string; path?: string } {
  const [, server, path = ""] = /^(?:(\[[0-9a-fA-F:.]+\]|[^:/]*):)?(.*)$/s.exec(location)!;
  if (server && !/^(\[.*\]|[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?)$/.test(server))
    throw new ValueError(`has the server "${showValue(server)}", which is neither an address nor a name`);
  if (path !== "" && !path.startsWith("/"))
    throw new ValueError(`has the path "${showValue(path)}", which is not absolute`);
  // Without both, the DHCP answer has them; with only a server, the kernel uses its own path.
  if (!server && path === "") return {};
  return { server: server || undefined, path: path || DEFAULT_PATH };
}
