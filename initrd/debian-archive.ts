/**
 * Fetches Debian packages for any architecture by apt with a separate state folder. apt checks the signatures; no package code runs.
 * Site and proxy come from this machine's apt configuration, so the code names no host (apt-get(8), indextargets).
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Architecture } from "./architecture.ts";
import { cacheFolder, fillCached, hashOf, withLock } from "./build-cache.ts";
import { BuildError } from "./build-error.ts";
import { runCommand } from "./run-command.ts";

export const SUITES = ["trixie", "bookworm"] as const;
export type Suite = (typeof SUITES)[number];

export interface DebianPackage {
  name: string;
  version: string;
  /** The unpacked files. */
  root: string;
}

interface PackageRecord {
  name: string;
  version: string;
  sha256: string;
  depends: string;
}

/** Security updates should reach an image within days, but most builds should not need the network. */
const LISTS_MAX_AGE_MS = 3 * 24 * 60 * 60 * 1000;
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

export interface DebianArchive {
  suite: Suite;
  architecture: Architecture;
  /** Returns the packages and their dependencies, without recommended packages. */
  resolveWithDependencies(names: readonly string[]): Promise<string[]>;
  /** Returns the first dependency whose name matches, for example the kernel of a metapackage. */
  resolveDependency(name: string, pattern: RegExp): Promise<string | undefined>;
  fetch(names: readonly string[]): Promise<{ packages: DebianPackage[]; reused: boolean }>;
}

export async function openDebianArchive(suite: Suite, architecture: Architecture): Promise<DebianArchive> {
  const folder = join(cacheFolder(), `apt-${suite}-${architecture.debian}`);
  const options = listAptOptions(folder, architecture);
  const apt = (program: string, args: readonly string[], cwd?: string) =>
    runCommand(program, [...options, ...args], { cwd });
  const refresh = (maxAgeMs: number) =>
    withLock(`${folder}.lock`, () => refreshLists(folder, suite, apt, maxAgeMs));
  await refresh(LISTS_MAX_AGE_MS);

  /** Caches apt's answers, which take a second each, for the same signed lists. */
  const ask = async (program: string, args: readonly string[]) => {
    // Release files are the same for every architecture.
    const key = { lists: hashReleases(folder), architecture: architecture.debian, program, args };
    const { path } = await fillCached({ kind: "apt-answer", key }, async (target) => {
      await writeFile(join(target, "answer"), await apt(program, args));
    });
    return readFile(join(path, "answer"), "utf8");
  };

  const readRecords = async (names: readonly string[]) => {
    const text = await ask("apt-cache", ["show", "--no-all-versions", ...names]);
    return parsePackageRecords(text).sort((a, b) => (a.name < b.name ? -1 : 1));
  };

  const fetchNow = async (names: readonly string[]) => {
    const records = await readRecords(names);
    const cached = await fillCached(
      { kind: "debian", key: { suite, architecture: architecture.debian, records } },
      async (target) => {
        const versions = records.map(({ name, version }) => `${name}=${version}`);
        await apt("apt-get", ["--quiet", "download", ...versions], target);
        for (const file of await readdir(target)) await unpackPackage(target, file);
      },
    );
    const packages = records.map(({ name, version }) => ({ name, version, root: join(cached.path, name) }));
    return { packages, reused: cached.reused };
  };

  return {
    suite,
    architecture,
    async resolveWithDependencies(names) {
      const plan = await ask("apt-get", ["--simulate", "install", ...names]);
      return [...plan.matchAll(/^Inst (\S+)/gm)].map(([, name]) => name!);
    },
    async resolveDependency(name, pattern) {
      const [record] = await readRecords([name]);
      const dependencies = (record?.depends ?? "").split(/\s*,\s*/).map((text) => text.split(/[\s(|]/)[0]!);
      return dependencies.find((dependency) => pattern.test(dependency));
    },
    async fetch(names) {
      try {
        return await fetchNow(names);
      } catch {
        // Usually an update has replaced a file that our lists still name.
        await refresh(0);
        return await fetchNow(names);
      }
    },
  };
}

/** Options that isolate apt: separate lists and cache, no installed packages, one architecture. */
function listAptOptions(folder: string, architecture: Architecture): string[] {
  const settings = {
    "Dir::State": folder,
    "Dir::State::lists": join(folder, "lists"),
    "Dir::State::status": join(folder, "status"),
    "Dir::Cache": join(folder, "cache"),
    "Dir::Etc::sourcelist": join(folder, "sources.list"),
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "APT::Architecture": architecture.debian,
    "APT::Architectures": architecture.debian,
    "APT::Install-Recommends": "false",
    "Acquire::Languages": "none",
    // The user _apt may not be able to read the cache.
    "APT::Sandbox::User": "root",
  };
  return Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
}

/** One sources line per archive for `suite`, at the sites of this machine's own sources. */
async function findSources(suite: Suite): Promise<string[]> {
  const format = "$(LABEL)|$(REPO_URI)|$(COMPONENT)";
  const read = async () =>
    (
      await runCommand("apt-get", [
        "indextargets",
        "--format",
        format,
        "Created-By: Packages",
        "Origin: Debian",
      ])
    )
      .split("\n")
      .map((line) => line.split("|"))
      .filter(([, , component]) => component === "main");
  let targets = await read();
  if (targets.length === 0) {
    // Origin and label come from the release files; they are missing if this machine's lists were never fetched.
    await runCommand("apt-get", ["-qq", "update"]);
    targets = await read();
  }
  const siteOf = (label: string) => targets.find(([found]) => found === label)?.[1];
  const main = siteOf("Debian");
  if (!main) {
    const hint = "Add a Debian source to /etc/apt and run apt-get update";
    throw new BuildError("Cannot find a Debian archive: apt knows none", { hint });
  }
  const security = siteOf("Debian-Security");
  const signedBy = existsSync(KEYRING) ? `[signed-by=${KEYRING}] ` : "";
  return [
    `deb ${signedBy}${main} ${suite} main\n`,
    ...(security ? [`deb ${signedBy}${security} ${suite}-security main\n`] : []),
  ];
}

type Apt = (program: string, args: readonly string[]) => Promise<string>;

async function refreshLists(folder: string, suite: Suite, apt: Apt, maxAgeMs: number): Promise<void> {
  const stamp = join(folder, "fetched");
  const age = await stat(stamp).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => Number.POSITIVE_INFINITY,
  );
  if (age < maxAgeMs) return;
  try {
    await mkdir(join(folder, "lists/partial"), { recursive: true });
    await mkdir(join(folder, "cache/archives/partial"), { recursive: true });
    await writeFile(join(folder, "status"), "");
    await writeFile(join(folder, "sources.list"), (await findSources(suite)).join(""));
    await apt("apt-get", ["-qq", "update", "-o", "APT::Update::Error-Mode=any"]);
    await writeFile(stamp, "");
  } catch (error) {
    // Old lists are better than no build. Without lists, report the reason.
    if (age === Number.POSITIVE_INFINITY) throw error;
  }
}

/** The signed release files contain the hash of every list, so they identify all lists. */
function hashReleases(folder: string): string[] {
  const lists = join(folder, "lists");
  return readdirSync(lists)
    .filter((name) => name.endsWith("Release"))
    .sort()
    .map((name) => hashOf(readFileSync(join(lists, name))));
}

async function unpackPackage(folder: string, file: string): Promise<void> {
  const name = file.split("_")[0]!;
  const archive = join(folder, file);
  await runCommand("dpkg-deb", ["-x", archive, join(folder, name)]);
  await rm(archive);
}

/** Parses the records of `apt-cache show` (deb822). */
function parsePackageRecords(text: string): PackageRecord[] {
  return text
    .split(/\n\n+/)
    .filter((paragraph) => paragraph.trim() !== "")
    .map((paragraph) => {
      const field = (name: string) => paragraph.match(new RegExp(`^${name}: (.*)$`, "m"))?.[1] ?? "";
      return {
        name: field("Package"),
        version: field("Version"),
        sha256: field("SHA256"),
        depends: field("Depends"),
      };
    });
}
