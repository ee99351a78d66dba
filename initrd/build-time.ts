/**
 * The time of a build: never the clock's, so that two builds of the same commit are the same bytes.
 * It is the DUT's floor for its clock, so it has to be a time at which today's certificates were valid or nearly so.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { BuildError } from "./build-error.ts";
import { PROJECT_ROOT } from "./project.ts";
import { runCommand } from "./run-command.ts";

/** Nothing of this project is older. */
const EARLIEST_SEC = Date.UTC(2026, 0, 1) / 1000;

/** SOURCE_DATE_EPOCH (reproducible-builds.org), else the last commit's time, else package.json's. */
export async function readBuildTimeMs(): Promise<number> {
  const { SOURCE_DATE_EPOCH } = process.env;
  const seconds = Number(SOURCE_DATE_EPOCH || (await readCommitTime()) || readPackageTime());
  if (!Number.isInteger(seconds) || seconds < EARLIEST_SEC) {
    const hint = "Set SOURCE_DATE_EPOCH to the seconds since 1970 of the sources' last change";
    throw new BuildError(`Cannot take "${seconds}" for the time of the build: it is before 2026`, { hint });
  }
  return seconds * 1000;
}

async function readCommitTime(): Promise<string | undefined> {
  try {
    const trust = ["-c", `safe.directory=${PROJECT_ROOT.replace(/\/$/, "")}`];
    return (await runCommand("git", [...trust, "-C", PROJECT_ROOT, "log", "-1", "--format=%ct"])).trim();
  } catch {
    return undefined; // unpacked from an archive, without its history
  }
}

function readPackageTime(): number {
  return Math.floor(statSync(join(PROJECT_ROOT, "package.json")).mtimeMs / 1000);
}
