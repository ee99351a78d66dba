/**
 * Describes a Job as the JSON that `dutboot explain --json` prints, for other programs (docs/explain.md): names are stable,
 * every documented field is present, null where the job says nothing, and secrets are hidden.
 */
import type { AgentError } from "../../errors.ts";
import { formatImageReference } from "../../oci/reference.ts";
import { hideEnvironment, hideSecrets } from "../../redaction/patterns.ts";
import type { CacheChoice, Dialect, Job, ResultsDestination, Root, RootArchive } from "../job.ts";
import { RESULTS_SYNC_MS } from "../limits.ts";
import type { ReadLine } from "../read-job.ts";
import type { Step } from "../step.ts";
import type { Volume } from "../volume.ts";
import { formatLogDestination, formatStepImage, type PlannedPhase, planPhases } from "./plan.ts";

export interface JobDescription {
  dialect: Dialect;
  /** Null when nothing of it could be read. */
  job: ReturnType<typeof describeJob> | null;
  phases: { name: PlannedPhase["name"]; does: string[]; skipped: boolean; limitMs: number | null }[];
  warnings: string[];
  errors: { code: AgentError["code"]; message: string; hint: string; blame: AgentError["blame"] }[];
}

export function describeLine({ dialect, job, warnings, errors }: ReadLine): JobDescription {
  return {
    dialect,
    job: job ? describeJob(job) : null,
    phases: (job ? planPhases(job) : []).map(({ name, does, limitMs = null }) => ({
      name,
      does,
      skipped: does.length === 0,
      limitMs,
    })),
    warnings,
    errors: errors.map(({ code, message, hint, blame }) => ({ code, message, hint, blame })),
  };
}

function describeJob(job: Job) {
  const {
    root,
    results,
    s3,
    logTo,
    limits,
    volumes = [],
    fileSystems = [],
    s3Aliases = [],
    mirrors = [],
  } = job;
  const rootImage = root && "image" in root ? formatImageReference(root.image) : null;
  return {
    root: root ? describeRoot(root) : null,
    artifacts: job.artifacts.map(({ to, ...archive }) => ({ ...describeArchive(archive), to })),
    steps: job.steps.map((step) => describeStep(step, rootImage)),
    stopsAtFailure: job.stopsAtFailure ?? false,
    volumes: volumes.map(describeVolume),
    fileSystems: fileSystems.map((system) => ({
      ...system,
      source: hideSecrets(system.source),
      type: system.type ?? null,
    })),
    s3Aliases: s3Aliases.map(({ name, url }) => ({ name, url: hideSecrets(url) })),
    cache: {
      choice: job.cacheFileSystem ?? formatChoice(job.cache.choice),
      mayFormat: job.cache.mayFormat,
      quota: "bytes" in job.cache.quota ? job.cache.quota.bytes : `${job.cache.quota.percent}%`,
    },
    results: results ? describeResults(results.to) : null,
    s3: s3 ? { url: hideSecrets(s3.url), region: s3.region } : null,
    mirrors: mirrors.map(({ registry, url }) => ({ registry, url: hideSecrets(url) })),
    insecureHosts: job.insecureHosts,
    limits: {
      timeoutMs: limits.timeoutMs ?? null,
      phasesMs: limits.phasesMs ?? {},
      syncMs: limits.syncMs ?? RESULTS_SYNC_MS,
    },
    onExit: job.onExit,
    ip: job.ip ?? null,
    shell: job.shell ?? false,
    logTo: logTo ? formatLogDestination(logTo) : null,
    console: { color: job.color ?? "auto", ports: job.consolePorts ?? [] },
    machine: describeMachine(job),
  };
}

function describeArchive({ url, sha256, tableSha256 }: RootArchive) {
  return { url: hideSecrets(url), sha256: sha256 ?? null, tableSha256: tableSha256 ?? null };
}

function describeRoot(root: Root) {
  if ("image" in root) {
    const { image, driver, composefsDigest } = root;
    return { image: formatImageReference(image), driver, composefsDigest: composefsDigest ?? null };
  }
  if ("archives" in root) return { archives: root.archives.map(describeArchive), driver: root.driver };
  if ("directory" in root) return { directory: root.directory };
  const { server = null, path = null, version = null, options, isWritable } = root.nfs;
  return { nfs: { server, path, version, options, writable: isWritable } };
}

function describeResults(destination: ResultsDestination) {
  if ("s3" in destination) return { s3: `s3://${destination.s3.bucket}/${destination.s3.prefix}` };
  if ("put" in destination) return { put: hideSecrets(destination.put) };
  const { server, path, version, options } = destination.nfs;
  return { nfs: { server, path, version: version ?? null, options } };
}

function describeStep(step: Step, rootImage: string | null) {
  return {
    kind: step.kind,
    image: step.image ? formatStepImage(step.image) : rootImage,
    entrypoint: step.entrypoint?.map(hideSecrets) ?? null,
    argv: (step.argv ?? []).map(hideSecrets),
    env: step.env.map(hideEnvironment),
    envFiles: step.envFiles ?? [],
    volumes: (step.volumes ?? []).map((mount) => ({ ...mount, source: mount.source ?? null })),
    workdir: step.workdir ?? null,
    container: step.container ?? {},
    isInit: step.isInit ?? false,
    error: step.error ? { code: step.error.code, message: step.error.message } : null,
  };
}

function describeVolume({ name, fileSystem, pull, push, expiration, mirrorOptions, ...keys }: Volume) {
  const { encryptKey, ...options } = mirrorOptions;
  return {
    name,
    fileSystem: fileSystem ?? null,
    pull: pull ?? null,
    push: push ?? null,
    expiration,
    ...options,
    hasEncryptKey: encryptKey !== undefined,
    hasFscryptKey: keys.fscryptKey !== undefined,
    resetsFscryptKey: keys.resetsFscryptKey,
  };
}

function describeMachine({ machine = {} }: Job) {
  const { extraArgumentsUrl, jobFileUrl, end, proxies, ...settings } = machine;
  const hideAll = (texts: object | undefined) =>
    texts &&
    Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [
        name,
        typeof text === "string" ? hideSecrets(text) : text,
      ]),
    );
  return {
    ...settings,
    extraArgumentsUrl: extraArgumentsUrl && hideSecrets(extraArgumentsUrl),
    jobFileUrl: jobFileUrl && { url: hideSecrets(jobFileUrl.url), sha256: jobFileUrl.sha256 ?? null },
    end: hideAll(end),
    proxies: hideAll(proxies),
  };
}

function formatChoice(choice: CacheChoice): string {
  if (typeof choice === "string") return choice;
  if ("label" in choice) return `LABEL=${choice.label}`;
  return "uuid" in choice ? `UUID=${choice.uuid}` : choice.device;
}
