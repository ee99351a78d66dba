/**
 * Describes the phases of a Job in sentences, for `explain` and the log. Secrets are hidden.
 */
import { formatImageReference } from "../../oci/reference.ts";
import { hideSecrets } from "../../redaction/patterns.ts";
import type { HostAndPort, Job, LogDestination, ResultsDestination, Root, RootArchive } from "../job.ts";
import { PHASE_NAMES, type PhaseName } from "../job.ts";
import type { MachineSettings } from "../machine-settings.ts";
import type { Step, StepImage } from "../step.ts";
import { quoteShellWord } from "../syntax/shell-words.ts";
import type { Mirror, Volume } from "../volume.ts";

export interface PlannedPhase {
  name: PhaseName;
  /** Where the job limits it. */
  limitMs?: number;
  /** Sentences; empty for a phase that is skipped. */
  does: string[];
}

export function planPhases(job: Job): PlannedPhase[] {
  const sentences: Record<PhaseName, string[]> = {
    machine: planMachine(job),
    fetch: planFetch(job),
    assemble: planAssemble(job),
    artifact: job.artifacts.map((artifact) => `unpack ${describeArchive(artifact, ` at ${artifact.to}`)}`),
    run: planRun(job),
    upload: planUpload(job),
    end: planEnd(job),
  };
  return PHASE_NAMES.map((name) => ({ name, does: sentences[name], limitMs: job.limits.phasesMs?.[name] }));
}

/** Leaves out the sentences that do not apply. */
function compact(...sentences: (string | false | undefined)[]): string[] {
  return sentences.filter((sentence) => typeof sentence === "string");
}

function describeArchive({ url, sha256, tableSha256 }: RootArchive, location = ""): string {
  const isChecked = sha256 ? ", its sha256 checked" : "";
  return `${hideSecrets(url)}${location}${isChecked}${tableSha256 ? ", partially by its table of contents" : ""}`;
}

function planMachine({ ip, machine = {}, cache, cacheFileSystem, logTo, dialect }: Job): string[] {
  const {
    interfaces = [],
    modules = [],
    moduleFiles = [],
    networkBlockDevices = [],
    imageStores = [],
  } = machine;
  const { netconsole, ntp, jobFileUrl, keymap, hostname, swap, extraArgumentsUrl } = machine;
  const configured = interfaces.map(({ name }) => name).join(", ");
  const extraModules = [...modules, ...moduleFiles].join(", ");
  const network = ip === undefined ? "set up the network by DHCP" : `set up the network by ip=${ip}`;
  const store =
    cacheFileSystem === undefined ? formatCache(cache, dialect) : `on the file system ${cacheFileSystem}`;
  return compact(
    "load modules",
    extraModules !== "" && `also load ${extraModules}`,
    configured === "" ? network : `set up ${configured}`,
    logTo && describeLog(logTo),
    netconsole && `send the kernel's messages to ${formatHostPort(netconsole)}`,
    describeClock(ntp),
    jobFileUrl &&
      `fetch the job file ${hideSecrets(jobFileUrl.url)}${jobFileUrl.sha256 ? ", its sha256 checked" : ""}`,
    keymap && `load the keymap ${keymap}`,
    hostname && `set the host name ${hostname}`,
    ...networkBlockDevices.map(({ device, host, port }) => `attach ${device} to ${host}:${port}`),
    `keep the store ${store}`,
    imageStores.length > 0 && `look for images on the file system ${imageStores.join(", ")} first`,
    swap && `swap to ${"device" in swap ? swap.device : `a file of ${swap.sizeBytes} bytes`}`,
    extraArgumentsUrl && `fetch more arguments from ${hideSecrets(extraArgumentsUrl)}`,
  );
}

function describeLog(destination: LogDestination): string {
  const what = `also send the console's output to ${formatLogDestination(destination)}`;
  return "tcp" in destination ? what : `${what}, as numbered lines`;
}

export function formatLogDestination(destination: LogDestination): string {
  if ("tcp" in destination) return `tcp://${formatHostPort(destination.tcp)}`;
  if ("s3" in destination) return `s3://${destination.s3.bucket}/${destination.s3.prefix}`;
  if ("http" in destination) return hideSecrets(destination.http);
  const { syslog } = destination;
  return `syslog${syslog.protocol === "tcp" ? "+tcp" : ""}://${formatHostPort(syslog)}`;
}

function describeClock(ntp: MachineSettings["ntp"]): string {
  if (ntp === "none") return "set the clock without a server: at least to the agent's build time";
  if (ntp === undefined) return "set the clock";
  return `set the clock from ${ntp === "auto" ? "a public pool" : ntp.host}`;
}

const formatHostPort = ({ host, port }: HostAndPort) => `${host.includes(":") ? `[${host}]` : host}:${port}`;

function formatCache({ choice, mayFormat }: Job["cache"], dialect: Job["dialect"]): string {
  // boot2container uses the first disk; here that needs permission. Our own options name the disk.
  const fallback = dialect === "b2c" && mayFormat ? "on the first disk, which is formatted" : "in RAM";
  if (choice === "none") return "in RAM";
  if (choice === "auto") return `on the device with our label, else ${fallback}`;
  if (choice === "reset")
    return `on the device with our label, formatted again${dialect === "b2c" ? `, else ${fallback}` : ""}`;
  if ("label" in choice) return `on LABEL=${choice.label}`;
  return "uuid" in choice ? `on UUID=${choice.uuid}` : `on ${choice.device}`;
}

function planFetch({ root, steps, mirrors = [], machine: { proxies = {} } = {} }: Job): string[] {
  const images = [
    ...(root && "image" in root ? [formatImageReference(root.image)] : []),
    ...steps.flatMap(({ image }) => (image ? formatStepImage(image) : [])),
  ];
  const archives = root && "archives" in root ? root.archives : [];
  const downloads = [
    ...[...new Set(images)].map((image) => `pull ${image}`),
    ...archives.map((archive) => `fetch ${describeArchive(archive)}`),
  ];
  if (downloads.length === 0) return [];
  return [
    ...Object.entries(proxies).map(([scheme, url]) => `use the proxy ${hideSecrets(url)} for ${scheme}://`),
    ...mirrors.map(({ registry, url }) => `ask ${hideSecrets(url)} first for images of ${registry}`),
    ...downloads,
  ];
}

function planAssemble({ root, volumes = [], fileSystems = [] }: Job): string[] {
  return compact(
    root && describeRoot(root),
    ...fileSystems.map(
      ({ name, source, type }) => `mount ${hideSecrets(source)}${type ? ` (${type})` : ""} as ${name}`,
    ),
    ...volumes.map(describeVolume),
  );
}

function describeRoot(root: Root): string {
  if ("nfs" in root) {
    const { server = "the server of the DHCP answer", path = "its path", version, isWritable } = root.nfs;
    const access = isWritable ? "read-write" : "read-only under an overlay";
    return `mount ${server}:${path} by NFS${version ? ` ${version}` : ""}, ${access}`;
  }
  if ("directory" in root) return `use ${root.directory} of the initrd as the root`;
  const what =
    "archives" in root && root.archives.length > 1
      ? `the ${root.archives.length} archives as one root`
      : "the root";
  return `mount ${what}${root.driver === "auto" ? "" : ` with ${root.driver}`}`;
}

function describeVolume({ name, pull, push, fileSystem, expiration, fscryptKey }: Volume): string {
  const mirror = (verb: string, by?: Mirror) =>
    by &&
    by.on.length > 0 &&
    `${verb} ${[by.alias, by.bucket, by.prefix].filter(Boolean).join("/")} at ${by.on.join(", ")}`;
  return compact(
    `prepare volume ${name}`,
    fileSystem !== undefined && `on ${fileSystem}`,
    fscryptKey !== undefined && "encrypted",
    mirror("pulled from", pull),
    mirror("pushed to", push),
    expiration === "pipeline_end" && "deleted at the end",
  ).join(", ");
}

function planRun({ steps, stopsAtFailure, shell }: Job): string[] {
  const of = (kind: Step["kind"]) => steps.filter((step) => step.kind === kind);
  const main = of("main").map((step) => {
    if (step.isInit) return `boot ${describeStep(step)} as process 1 of its own container`;
    return shell && !step.image ? "run a shell on the console until it exits" : `run ${describeStep(step)}`;
  });
  const rule = stopsAtFailure
    ? "stop after the first that fails"
    : "continue after one that fails; the first failure is the result";
  return compact(
    ...of("service").map((step) => `start as a service ${describeStep(step)}`),
    ...main,
    main.length > 1 && rule,
    ...of("post").map((step) => `afterwards run ${describeStep(step)}`),
  );
}

function describeStep({ image, entrypoint, argv = [], error }: Step): string {
  if (error) return "a container that cannot be read: it counts as failed";
  const command = [...(entrypoint ?? []), ...argv].map((word) => hideSecrets(quoteShellWord(word))).join(" ");
  const what = command || "the image's entrypoint and command";
  const isArgument = command !== "" && image && entrypoint === undefined;
  return `${what}${isArgument ? " (as arguments of the image's entrypoint)" : ""}${image ? ` in ${formatStepImage(image)}` : ""}`;
}

export function formatStepImage(image: StepImage): string {
  return "id" in image ? image.id : formatImageReference(image);
}

function planUpload({ results, volumes = [] }: Job): string[] {
  const isPushedAtEnd = ({ push }: Volume) =>
    push?.on.some((on) => on === "pipeline_end" || on === "changes");
  return compact(
    results && `upload the results to ${formatResults(results.to)}`,
    ...volumes.filter(isPushedAtEnd).map(({ name }) => `push all of volume ${name}`),
  );
}

function formatResults(destination: ResultsDestination): string {
  if ("s3" in destination) return `s3://${destination.s3.bucket}/${destination.s3.prefix}`;
  if ("put" in destination) return hideSecrets(destination.put);
  return `${destination.nfs.server}:${destination.nfs.path} by NFS`;
}

function planEnd({ onExit, machine }: Job): string[] {
  const { poweroffDelayMs, poweroffCommand } = machine?.end ?? {};
  return compact(
    "print the verdict",
    !!poweroffDelayMs && `wait ${poweroffDelayMs / 1000} s`,
    poweroffCommand === undefined ? onExit : hideSecrets(poweroffCommand),
  );
}
