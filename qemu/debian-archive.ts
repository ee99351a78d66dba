/**
 * The Debian archive this machine's apt is set up for, and the settings that reach it: proxy, certificates, checks.
 * apt's own configuration knows the mirror; no host name stands in the code.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface DebianArchive {
  /** URI of the archive, as in a sources list. */
  uri: string;
  /** Lines of apt.conf that decide how it is reached. */
  aptOptions: string[];
}

/** What decides how apt reaches the archive; everything else of the machine's apt settings is no business of a new root. */
const CARRIED_OPTIONS =
  /^Acquire::(https?|Retries|Check-Valid-Until|Check-Date|ForceIPv[46]|Max-ValidTime|Proxy-Auto-Detect)\b/i;

/** Asks apt for the archive of the release that runs here, other releases of Debian being beside it. */
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

/** Lines of `apt-config dump` that decide how an archive is reached. */
export function pickAptOptions(dump: string): string[] {
  return dump.split("\n").filter((line) => CARRIED_OPTIONS.test(line) && !line.endsWith(' "";'));
}

function parseCodename(osRelease: string): string {
  return /^VERSION_CODENAME="?([^"\n]*)/m.exec(osRelease)?.[1] ?? "";
}
