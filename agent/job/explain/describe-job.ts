/**
 * A Job as the JSON that `dutboot explain --json` prints and other programs read: stable names, every documented field
 * always there (null where the job says nothing), and no secret in it. docs/explain.md is its description.
 */
import type { AgentError } from "../../errors.ts";
import { formatImageReference } from "../../oci/reference.ts";
import { hideEnvironment, hideSecrets } from "../../redaction/patterns.ts";
import type { CacheChoice, Dialect, Job, ResultsDestination, Root } from "../job.ts";
import { RESULTS_SYNC_MS } from "../limits.ts";
import type { ReadLine } from "../read-job.ts";
import type { Mount, Step } from "../step.ts";
import type { Mirror, Volume } from "../volume.ts";
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
    phases: job ? planPhases(job).map(describePhase) : [],
    warnings,
    errors: errors.map(describeError),
  };
}

function describePhase({ name, does, limitMs }: PlannedPhase) {
  return { name, does, skipped: does.length === 0, limitMs: limitMs ?? null };
}

function describeError({ code, message, hint, blame }: AgentError) {
  return { code, message, hint, blame };
}

function describeJob(job: Job) {
  const { volumes = [], fileSystems = [], s3Aliases = [] } = job;
  const rootImage = job.root && "image" in job.root ? formatImageReference(job.root.image) : null;
  return {
    root: job.root ? describeRoot(job.root) : null,
    artifacts: job.artifacts.map(({ url, to, sha256, tableSha256 }) => ({
      url: hideSecrets(url),
      to,
      sha256: sha256 ?? null,
      tableSha256: tableSha256 ?? null,
    })),
    steps: job.steps.map((step) => describeStep(step, rootImage)),
    stopsAtFailure: job.stopsAtFailure ?? false,
    volumes: volumes.map(describeVolume),
    fileSystems: fileSystems.map(({ name, source, type, options }) => ({
      name,
      source: hideSecrets(source),
      type: type ?? null,
      options,
    })),
    s3Aliases: s3Aliases.map(({ name, url }) => ({ name, url: hideSecrets(url) })),
    cache: {
      choice: job.cacheFileSystem ?? formatChoice(job.cache.choice),
      mayFormat: job.cache.mayFormat,
      quota: "bytes" in job.cache.quota ? job.cache.quota.bytes : `${job.cache.quota.percent}%`,
    },
    results: job.results ? describePlace(job.results.to) : null,
    s3: job.s3 ? { url: hideSecrets(job.s3.url), region: job.s3.region } : null,
    mirrors: (job.mirrors ?? []).map(({ registry, url }) => ({ registry, url: hideSecrets(url) })),
    insecureHosts: job.insecureHosts,
    limits: {
      timeoutMs: job.limits.timeoutMs ?? null,
      phasesMs: job.limits.phasesMs ?? {},
      syncMs: job.limits.syncMs ?? RESULTS_SYNC_MS,
    },
    onExit: job.onExit,
    ip: job.ip ?? null,
    shell: job.shell ?? false,
    logTo: job.logTo ? formatLogDestination(job.logTo) : null,
    console: { color: job.color ?? "auto", ports: job.consolePorts ?? [] },
    machine: describeMachine(job),
  };
}

function describeRoot(root: Root) {
  if ("image" in root)
    return {
      image: formatImageReference(root.image),
      driver: root.driver,
      composefsDigest: root.composefsDigest ?? null,
    };
  if ("archives" in root)
    return {
      archives: root.archives.map(({ url, sha256, tableSha256 }) => ({
        url: hideSecrets(url),
        sha256: sha256 ?? null,
        tableSha256: tableSha256 ?? null,
      })),
      driver: root.driver,
    };
  if ("directory" in root) return { directory: root.directory };
  const { server, path, version, options, isWritable } = root.nfs;
  return {
    nfs: {
      server: server ?? null,
      path: path ?? null,
      version: version ?? null,
      options,
      writable: isWritable,
    },
  };
}

function describePlace(place: ResultsDestination) {
  if ("s3" in place) return { s3: `s3://${place.s3.bucket}/${place.s3.prefix}` };
  if ("put" in place) return { put: hideSecrets(place.put) };
  const { server, path, version, options } = place.nfs;
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
    volumes: (step.volumes ?? []).map(describeMount),
    workdir: step.workdir ?? null,
    container: step.container ?? {},
    isInit: step.isInit ?? false,
    error: step.error ? { code: step.error.code, message: step.error.message } : null,
  };
}

function describeMount({ kind, source, target, options }: Mount) {
  return { kind, source: source ?? null, target, options };
}

function describeVolume({ name, fileSystem, pull, push, expiration, mirrorOptions, ...keys }: Volume) {
  const { encryptKey, ...options } = mirrorOptions;
  return {
    name,
    fileSystem: fileSystem ?? null,
    pull: describeMirror(pull),
    push: describeMirror(push),
    expiration,
    ...options,
    hasEncryptKey: encryptKey !== undefined,
    hasFscryptKey: keys.fscryptKey !== undefined,
    resetsFscryptKey: keys.resetsFscryptKey,
  };
}

function describeMirror(mirror: Mirror | undefined) {
  return mirror ? { alias: mirror.alias, bucket: mirror.bucket, prefix: mirror.prefix, on: mirror.on } : null;
}

function describeMachine({ machine = {} }: Job) {
  const { extraArgumentsUrl, jobFileUrl, end, proxies, ...settings } = machine;
  const hideAll = (texts: Readonly<Record<string, string | number>>) =>
    Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [
        name,
        typeof text === "string" ? hideSecrets(text) : text,
      ]),
    );
  return {
    ...settings,
    ...(extraArgumentsUrl !== undefined && { extraArgumentsUrl: hideSecrets(extraArgumentsUrl) }),
    ...(jobFileUrl && {
      jobFileUrl: { url: hideSecrets(jobFileUrl.url), sha256: jobFileUrl.sha256 ?? null },
    }),
    ...(end && { end: hideAll({ ...end }) }),
    ...(proxies && { proxies: hideAll(proxies) }),
  };
}

function formatChoice(choice: CacheChoice): string {
  if (typeof choice === "string") return choice;
  if ("label" in choice) return `LABEL=${choice.label}`;
  return "uuid" in choice ? `UUID=${choice.uuid}` : choice.device;
}
