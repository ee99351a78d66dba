/**
 * Names that a job uses and defines nowhere: of S3 services and of file systems.
 */
import { AgentError } from "../errors.ts";
import { showValue } from "../redaction/patterns.ts";
import type { Job } from "./job.ts";

/** Volumes call the service of `dut.s3` by this alias. */
const OWN_ALIAS = "s3";

/** The options that define them, in the dialect's own words. */
export interface DefiningOptions {
  alias: string;
  fileSystem: string;
}

export function findUnknownNames(
  {
    volumes = [],
    fileSystems = [],
    s3Aliases = [],
    s3,
  }: Pick<Job, "volumes" | "fileSystems" | "s3Aliases" | "s3">,
  options: DefiningOptions,
): AgentError[] {
  const refuse = (what: string, by: string, option: string) =>
    new AgentError("CMDLINE_BAD_VALUE", `Cannot use ${what} of ${by}: no ${option} has that name`, {
      hint: `Add ${option}, or correct the name`,
    });
  const aliases = new Set([...s3Aliases.map(({ name }) => name), ...(s3 ? [OWN_ALIAS] : [])]);
  const systems = new Set(fileSystems.map(({ name }) => name));
  return volumes.flatMap(({ name, pull, push, fileSystem }) => [
    ...[...new Set([pull?.alias, push?.alias])].flatMap((alias) =>
      alias === undefined || aliases.has(alias)
        ? []
        : refuse(`"${showValue(alias)}"`, `volume "${name}"`, options.alias),
    ),
    ...(fileSystem === undefined || systems.has(fileSystem)
      ? []
      : [refuse(`"${showValue(fileSystem)}"`, `volume "${name}"`, options.fileSystem)]),
  ]);
}
