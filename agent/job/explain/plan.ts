/**
 * From a Job to the phases it would run, as a list for people: what `explain` prints is what the agent does.
 * Nothing secret is in the words.
 */
import { formatImageReference } from "../../oci/reference.ts";
import { hideSecrets } from "../../redaction/patterns.ts";
import type { HostAndPort, Job, LogDestination, ResultsDestination, Root, RootArchive } from "../job.ts";
import type { MachineSettings } from "../machine-settings.ts";
import { PHASE_NAMES, type PhaseName } from "../phase-names.ts";
import type { Step, StepImage } from "../step.ts";
import { quoteShellWord } from "../syntax/shell-words.ts";
import type { Mirror, Volume } from "../volume.ts";

export interface PlannedPhase {
  name: PhaseName;
  /** Where the job limits it. */
  limitMs?: number;
  /** One sentence a line; empty for a phase that has nothing to do and is skipped. */
  does: string[];
}

export function planPhases(job: Job): PlannedPhase[] {
  const lines: Record<PhaseName, string[]> = {
    machine: planMachine(job),
    fetch: planFetch(job),
    assemble: planAssemble(job),
    artifact: job.artifacts.map((artifact) => `unpack ${describeArchive(artifact, ` at ${artifact.to}`)}`),
    run: planRun(job),
    upload: planUpload(job),
    end: planEnd(job),
  };
  const limitsMs = job.limits.phasesMs ?? {};
  return PHASE_NAMES.map((name) => {
    const limitMs = limitsMs[name];
    return { name, does: lines[name], limitMs };
  });
}

function describeArchive({ url, sha256, tableSha256 }: RootArchive, where = ""): string {
  const checked = sha256 ? ", its sha256 checked" : "";
  return `${hideSecrets(url)}${where}${checked}${tableSha256 ? ", in parts by its table" : ""}`;
}

function planMachine({ ip, machine = {}, cache, cacheFileSystem, logTo, dialect }: Job): string[] {
  const { interfaces = [], modules, moduleFiles, ntp, swap, networkBlockDevices = [] } = machine;
  const { jobFileUrl, imageStores = [] } = machine;
  const byHand = interfaces.map(({ name }) => name).join(", ");
  const network =
    byHand !== "" ? `set up ${byHand}` : ip === undefined ? "network by DHCP" : `network by ip=${ip}`;
  const place = formatCacheChoice(cache, dialect);
  return [
    "load modules",
    ...(modules || moduleFiles
      ? [`load ${[...(modules ?? []), ...(moduleFiles ?? [])].join(", ")} as well`]
      : []),
    network,
    ...(logTo ? [describeLog(logTo)] : []),
    ...(machine.netconsole
      ? [`have the kernel send its messages to ${formatHostPort(machine.netconsole)}`]
      : []),
    describeClock(ntp),
    ...(jobFileUrl
      ? [
          `fetch the job file ${hideSecrets(jobFileUrl.url)}${jobFileUrl.sha256 ? ", its sha256 checked" : ""}`,
        ]
      : []),
    ...(machine.keymap ? [`load the keymap ${machine.keymap}`] : []),
    ...(machine.hostname ? [`call the machine ${machine.hostname}`] : []),
    ...networkBlockDevices.map(({ device, host, port }) => `attach ${device} to ${host}:${port}`),
    cacheFileSystem === undefined
      ? `keep the store ${place}`
      : `keep the store on the file system ${cacheFileSystem}`,
    ...(imageStores.length > 0 ? [`look for images on the file system ${imageStores.join(", ")} first`] : []),
    ...(swap ? [`swap to ${"device" in swap ? swap.device : `a file of ${swap.sizeBytes} bytes`}`] : []),
    ...(machine.extraArgumentsUrl
      ? [`fetch more arguments from ${hideSecrets(machine.extraArgumentsUrl)}`]
      : []),
  ];
}

function describeLog(place: LogDestination): string {
  const what = `send everything on the console to ${formatLogDestination(place)} as well`;
  return "tcp" in place ? what : `${what}, in numbered lines`;
}

export function formatLogDestination(place: LogDestination): string {
  if ("tcp" in place) return `tcp://${formatHostPort(place.tcp)}`;
  if ("s3" in place) return `s3://${place.s3.bucket}/${place.s3.prefix}`;
  if ("http" in place) return hideSecrets(place.http);
  return `syslog${place.syslog.protocol === "tcp" ? "+tcp" : ""}://${formatHostPort(place.syslog)}`;
}

function describeClock(ntp: MachineSettings["ntp"]): string {
  if (ntp === "none") return "set the clock from nobody: it is no earlier than the agent's build";
  if (ntp === undefined) return "set the clock";
  return `set the clock by ${ntp === "auto" ? "a public pool" : ntp.host}`;
}

const formatHostPort = ({ host, port }: HostAndPort) => `${host.includes(":") ? `[${host}]` : host}:${port}`;

function formatCacheChoice({ choice, mayFormat }: Job["cache"], dialect: Job["dialect"]): string {
  // boot2container takes the first disk; ours needs to be told so, and its own options name the disk then.
  const last = dialect === "b2c" && mayFormat ? "on the first disk, which is repartitioned" : "in RAM";
  if (choice === "none") return "in RAM";
  if (choice === "auto") return `on the device labelled for it, else ${last}`;
  if (choice === "reset")
    return `on the device labelled for it, formatted anew${dialect === "b2c" ? `, else ${last}` : ""}`;
  if ("label" in choice) return `on LABEL=${choice.label}`;
  return "uuid" in choice ? `on UUID=${choice.uuid}` : `on ${choice.device}`;
}

function planFetch({ root, steps, mirrors = [], machine: { proxies = {} } = {} }: Job): string[] {
  const images = [
    ...(root && "image" in root ? [formatImageReference(root.image)] : []),
    ...steps.flatMap(({ image }) => (image ? formatStepImage(image) : [])),
  ];
  const archives = root && "archives" in root ? root.archives : [];
  const pulls = [
    ...[...new Set(images)].map((image) => `pull ${image}`),
    ...archives.map((archive) => `fetch ${describeArchive(archive)}`),
  ];
  if (pulls.length === 0) return [];
  return [
    ...Object.entries(proxies).map(([scheme, url]) => `by the proxy ${hideSecrets(url)} for ${scheme}://`),
    ...mirrors.map(({ registry, url }) => `ask ${hideSecrets(url)} first for images of ${registry}`),
    ...pulls,
  ];
}

function planAssemble({ root, volumes = [], fileSystems = [] }: Job): string[] {
  return [
    ...(root ? [describeRoot(root)] : []),
    ...fileSystems.map(
      ({ name, source, type }) => `mount ${hideSecrets(source)}${type ? ` (${type})` : ""} as ${name}`,
    ),
    ...volumes.map(describeVolume),
  ];
}

function describeRoot(root: Root): string {
  if ("nfs" in root) {
    const { server = "the server of the DHCP answer", path = "its path", version } = root.nfs;
    const how = root.nfs.isWritable ? "read-write" : "read-only under an overlay";
    return `mount ${server}:${path} by NFS${version ? ` ${version}` : ""}, ${how}`;
  }
  if ("directory" in root) return `take ${root.directory} of the initrd as the root`;
  if ("archives" in root && root.archives.length > 1)
    return `mount the ${root.archives.length} archives as one root${root.driver === "auto" ? "" : ` by ${root.driver}`}`;
  return `mount the root${root.driver === "auto" ? "" : ` by ${root.driver}`}`;
}

function describeVolume({ name, pull, push, fileSystem, expiration, fscryptKey }: Volume): string {
  const mirror = (verb: string, by?: Mirror) =>
    by && by.on.length > 0
      ? [`${verb} ${[by.alias, by.bucket, by.prefix].filter(Boolean).join("/")} at ${by.on.join(", ")}`]
      : [];
  return [
    `prepare volume ${name}`,
    ...(fileSystem === undefined ? [] : [`on ${fileSystem}`]),
    ...(fscryptKey === undefined ? [] : ["encrypted"]),
    ...mirror("pulled from", pull),
    ...mirror("pushed to", push),
    ...(expiration === "pipeline_end" ? ["removed at the end"] : []),
  ].join(", ");
}

function planRun({ steps, stopsAtFailure, shell }: Job): string[] {
  const of = (kind: Step["kind"]) => steps.filter((step) => step.kind === kind);
  const main = of("main").map((step) => {
    if (step.isInit) return `boot ${describeStep(step)} as process 1 of a container of its own`;
    return shell && !step.image ? "give the console to a shell, until it ends" : `run ${describeStep(step)}`;
  });
  const rule = stopsAtFailure
    ? "stop at the first that fails"
    : "go on after one that fails; the first failure counts";
  return [
    ...of("service").map((step) => `start beside them ${describeStep(step)}`),
    ...main,
    ...(main.length > 1 ? [rule] : []),
    ...of("post").map((step) => `run afterwards ${describeStep(step)}`),
  ];
}

function describeStep({ image, entrypoint, argv, error }: Step): string {
  if (error) return "a container that cannot be read: it counts as failed";
  const words = [...(entrypoint ?? []), ...(argv ?? [])]
    .map((word) => hideSecrets(quoteShellWord(word)))
    .join(" ");
  const what = words === "" ? "the image's entrypoint and command" : words;
  const isBehind = words !== "" && image && entrypoint === undefined;
  return `${isBehind ? `${what} (behind the image's entrypoint)` : what}${image ? ` in ${formatStepImage(image)}` : ""}`;
}

export function formatStepImage(image: StepImage): string {
  return "id" in image ? image.id : formatImageReference(image);
}

function planUpload({ results, volumes = [] }: Job): string[] {
  return [
    ...(results ? [`put the results to ${formatPlace(results.to)}`] : []),
    ...volumes
      .filter(({ push }) =>
        push?.on.some((condition) => condition === "pipeline_end" || condition === "changes"),
      )
      .map(({ name }) => `push volume ${name} to the last byte`),
  ];
}

function formatPlace(place: ResultsDestination): string {
  if ("s3" in place) return `s3://${place.s3.bucket}/${place.s3.prefix}`;
  return "put" in place ? hideSecrets(place.put) : `${place.nfs.server}:${place.nfs.path} by NFS`;
}

function planEnd({ onExit, machine }: Job): string[] {
  const { poweroffDelayMs, poweroffCommand } = machine?.end ?? {};
  return [
    "print the verdict",
    ...(poweroffDelayMs ? [`wait ${poweroffDelayMs / 1000} s`] : []),
    poweroffCommand === undefined ? onExit : hideSecrets(poweroffCommand),
  ];
}
