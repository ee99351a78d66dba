/**
 * The Debian archive that apt on this machine uses, with its settings: proxy, certificates, checks.
 * The mirror comes from apt's configuration, so the code names no host.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface DebianArchive {
  /** URI of the archive, as in a sources list. */
  uri: string;
  /** The apt.conf lines for access to it. */
  aptOptions: string[];
}

/** The settings for access to the archive. A new root must not inherit other apt settings of the machine. */
const CARRIED_OPTIONS =
  /^Acquire::(https?|Retries|Check-Valid-Until|Check-Date|ForceIPv[46]|Max-ValidTime|Proxy-Auto-Detect)\b/i;

/** Asks apt for the archive of the running release; other releases of Debian are in the same archive. */
export async function locateDebianArchive(): Promise<DebianArchive> {
  const targets = await run("apt-get", [
    "indextargets",
    "Created-By: Packages",
    "--format",
    "$(REPO_URI) $(RELEASE) $(COMPONENT)",
  ]);
  const codename = parseCodename(await readFile("/etc/os-release", "utf8"));
  const rows = targets.stdout.split("\n").map((line) => line.split(" "));
  const uri = rows.find(([, release, component]) => release === codename && component === "main")?.[0];
  if (!uri) {
    throw new Error(
      `Cannot find the Debian archive: apt's sources have no component main of "${codename}"; add Debian's archive to /etc/apt/sources.list`,
    );
  }
  const { stdout } = await run("apt-config", ["dump"]);
  return { uri, aptOptions: pickAptOptions(stdout) };
}

/** The `apt-config dump` lines for access to an archive. */
export function pickAptOptions(dump: string): string[] {
  return dump.split("\n").filter((line) => CARRIED_OPTIONS.test(line) && !line.endsWith(' "";'));
}

function parseCodename(osRelease: string): string {
  return /^VERSION_CODENAME="?([^"\n]*)/m.exec(osRelease)?.[1] ?? "";
}
