/**
 * Checks between the options of a job: references to S3 services and file systems, and servers reached by plain HTTP.
 */
import { AgentError } from "../errors.ts";
import { showValue } from "../redaction/patterns.ts";
import { findOption } from "./dut/options.ts";
import { isHostInsecure } from "./insecure-hosts.ts";
import type { JobDraft } from "./job-draft.ts";

/** The dialect's options that define what others refer to. */
export interface ReferenceOptions {
  alias: string;
  fileSystem: string;
}

/** The alias by which volumes refer to the service of `dut.s3`. */
const OWN_ALIAS = "s3";

/** `task` and `what` complete "Cannot …" and "Say …". */
export function createMissingError(name: string, task: string, what: string): AgentError {
  return new AgentError("CMDLINE_MISSING_OPTION", `Cannot ${task}: the job has no "${name}"`, {
    hint: `Say ${what}: ${findOption(name)!.example}`,
  });
}

/**
 * Services and file systems that are used but not defined. In boot2container's dialect a volume's are warnings: only what needs them
 * fails, when its turn comes.
 */
export function checkReferences(
  draft: JobDraft,
  seen: ReadonlySet<string>,
  options: ReferenceOptions,
): { errors: AgentError[]; warnings: string[] } {
  const { results, logTo, artifacts, rootSources, machine, volumes = [], fileSystems = [] } = draft;
  const usesS3 = (url?: string) => url?.startsWith("s3://");
  const users = [
    results && "s3" in results.to && 'upload to "dut.results"',
    logTo && "s3" in logTo && 'send the log to "dut.log"',
    artifacts.some(({ url }) => usesS3(url)) && 'fetch "dut.artifact"',
    rootSources.some((source) => "archive" in source && usesS3(source.archive.url)) && 'fetch "dut.rootfs"',
    usesS3(machine.jobFileUrl?.url) && 'fetch "dut.job"',
  ].filter((user) => typeof user === "string");

  const aliases = new Set((draft.s3Aliases ?? []).map(({ name }) => name));
  if (draft.s3) aliases.add(OWN_ALIAS);
  const systems = new Set(fileSystems.map(({ name }) => name));
  const checkName = (known: ReadonlySet<string>, option: string, user: string, name: string | undefined) =>
    name === undefined || known.has(name)
      ? []
      : [
          new AgentError(
            "CMDLINE_BAD_VALUE",
            `Cannot use "${showValue(name)}" of ${user}: no ${option} has that name`,
            { hint: `Add ${option}, or correct the name` },
          ),
        ];
  // boot2container ignores names of these that it does not know.
  const mounts: [user: string, name: string | undefined][] =
    draft.dialect === "b2c"
      ? []
      : [
          ["dut.cache", draft.cacheFileSystem],
          ...(machine.imageStores ?? []).map((name): [string, string] => ["dut.image_store", name]),
        ];
  const ofVolumes = volumes.flatMap(({ name, pull, push, fileSystem }) => [
    ...[...new Set([pull?.alias, push?.alias])].flatMap((alias) =>
      checkName(aliases, options.alias, `volume "${name}"`, alias),
    ),
    ...checkName(systems, options.fileSystem, `volume "${name}"`, fileSystem),
  ]);
  const isLenient = draft.dialect === "b2c";
  return {
    errors: [
      ...(seen.has("dut.s3")
        ? []
        : users.map((task) => createMissingError("dut.s3", task, "which service has the bucket"))),
      ...(isLenient ? [] : ofVolumes),
      ...mounts.flatMap(([user, name]) => checkName(systems, options.fileSystem, user, name)),
    ],
    warnings: isLenient ? ofVolumes.map(({ message, hint }) => `${message}; ${hint}`) : [],
  };
}

/** URLs of plain HTTP, without a digest, on hosts where the job does not allow it. */
export function checkUrls(draft: JobDraft, { isComplete }: { isComplete: boolean }): AgentError[] {
  const { artifacts, rootSources, s3, results, logTo, mirrors = [], s3Aliases = [], insecureHosts } = draft;
  const { jobFileUrl } = draft.machine;
  type Use = [option: string, source: { url: string; sha256?: string } | undefined];
  const jobFile: Use = ["dut.job", jobFileUrl];
  const others: Use[] = [
    ...artifacts.map((artifact): Use => ["dut.artifact", artifact]),
    ...rootSources.map((source): Use => ["dut.rootfs", "archive" in source ? source.archive : undefined]),
    ["dut.s3", s3],
    ["dut.results", results && "put" in results.to ? { url: results.to.put } : undefined],
    ["dut.log", logTo && "http" in logTo ? { url: logTo.http } : undefined],
    ...mirrors.map((mirror): Use => ["dut.mirror", mirror]),
    ...s3Aliases.map(({ url }): Use => ["dut.s3_alias", { url }]),
  ];
  // The job file may allow hosts for the others, but not for itself.
  return [jobFile, ...(isComplete ? others : [])].flatMap(([option, source]) => {
    if (!source || source.sha256 !== undefined) return [];
    const url = new URL(source.url);
    if (url.protocol !== "http:" || isHostInsecure(url, insecureHosts)) return [];
    return new AgentError(
      "FETCH_INSECURE_REFUSED",
      `Cannot use "${option}=${showValue(source.url)}": plain HTTP is not allowed for "${url.host}"`,
      { hint: `Use https://, or add dut.insecure=${url.host}` },
    );
  });
}
