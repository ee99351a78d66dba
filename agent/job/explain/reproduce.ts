/**
 * Commands that reproduce a job on another machine: a shell in a step's environment with podman, and the job in QEMU.
 * They contain no secrets and nothing specific to the farm, such as disks, addresses and consoles.
 */
import { formatImageReference } from "../../oci/reference.ts";
import { hideEnvironment, hideSecrets } from "../../redaction/patterns.ts";
import { isHostInsecure } from "../insecure-hosts.ts";
import type { Job, NfsRoot } from "../job.ts";
import type { ContainerSettings, Mount, Step } from "../step.ts";
import { parseCommandLine } from "../syntax/command-line.ts";
import { undoLoaderEscapes } from "../syntax/loader-escapes.ts";
import { quoteShellWord } from "../syntax/shell-words.ts";

export interface Reproducer {
  /** The number of the step among all, from 1. */
  step: number;
  kind: Step["kind"];
  /** A command line that gives a shell; absent where `reason` says why there is none. */
  shell?: string;
  /** Completes "no shell …: …". */
  reason?: string;
  /** What the step runs; absent for the image's own command. */
  command?: string;
}

const CONTAINER = "dutboot-shell";
const ROOTFS_IMAGE = "localhost/dutboot-rootfs";
const MOUNT_POINT = "/tmp/dutboot-root";

export function planReproducers(job: Job): Reproducer[] {
  return job.steps.map((step, at) => {
    const words = [...(step.entrypoint ?? []), ...(step.argv ?? [])];
    const command = words.map((word) => hideSecrets(quoteShellWord(word))).join(" ") || undefined;
    return { step: at + 1, kind: step.kind, ...planShell(job, step), command };
  });
}

type PlannedShell = { shell: string } | { reason: string };

function planShell(job: Job, step: Step): PlannedShell {
  if (step.error) return { reason: "the container cannot be read" };
  const flags = formatFlags(step, job);
  if (step.image) {
    if ("id" in step.image) return { shell: formatPodmanRun(flags, step.image.id) };
    return planContainer(formatImageReference(step.image), flags, { artifacts: [] });
  }
  const { root } = job;
  if (!root) return { reason: "the job has no root" };
  if ("nfs" in root) return planNfsShell(root, flags, job);
  if ("directory" in root)
    return { reason: `its root is ${root.directory} in an initrd archive, which no server has` };
  if ("image" in root) return planContainer(formatImageReference(root.image), flags, job);
  const [base, ...others] = root.archives;
  const download = formatDownload(base!.url, job.s3);
  if (download === undefined) return explainSource(base!.url);
  const artifacts = [...others.map(({ url }) => ({ url, to: "/" })), ...job.artifacts];
  const importRoot = `${download} | podman import - ${ROOTFS_IMAGE}`;
  return planContainer(ROOTFS_IMAGE, flags, { ...job, artifacts, importRoot });
}

/** Why a source cannot be downloaded. */
const explainSource = (url: string): PlannedShell => ({
  reason: `${hideSecrets(url)} is ${url.startsWith("file:") ? "in an initrd archive, which no server has" : "a file of an NFS export, which has no download command"}`,
});

interface ContainerContent {
  artifacts: readonly { url: string; to: string }[];
  s3?: Job["s3"];
  /** Makes the image. */
  importRoot?: string;
}

/** Artifacts are unpacked by `podman cp`, which reads archives from stdin, compressed or not. */
function planContainer(
  image: string,
  flags: readonly string[],
  { artifacts, s3, importRoot }: ContainerContent,
): PlannedShell {
  const before = importRoot === undefined ? [] : [importRoot];
  if (artifacts.length === 0) return { shell: [...before, formatPodmanRun(flags, image)].join(" && ") };
  const unreachable = artifacts.find(({ url }) => formatDownload(url, s3) === undefined);
  if (unreachable) return explainSource(unreachable.url);
  const create = ["podman create --name", CONTAINER, "-it", ...flags, image].join(" ");
  const copies = artifacts.map(
    ({ url, to }) => `${formatDownload(url, s3)} | podman cp - ${quoteShellWord(`${CONTAINER}:${to}`)}`,
  );
  const start = `podman start -ai ${CONTAINER}`;
  return { shell: `${[...before, create, ...copies, start].join(" && ")}; podman rm -f ${CONTAINER}` };
}

/** Undefined where no common client downloads to stdout. */
function formatDownload(url: string, s3: Job["s3"]): string | undefined {
  if (/^(file|nfs):/.test(url)) return undefined;
  if (!url.startsWith("s3://")) return `curl -fL ${quoteShellWord(hideSecrets(url))}`;
  const endpoint = s3 ? `--endpoint-url ${quoteShellWord(s3.url)} ` : "";
  return `aws ${endpoint}s3 cp ${quoteShellWord(url)} -`;
}

const formatPodmanRun = (flags: readonly string[], image: string) =>
  ["podman run --rm -it", ...flags, image].join(" ");

function planNfsShell({ nfs }: NfsRoot, flags: readonly string[], { artifacts }: Job): PlannedShell {
  if (nfs.server === undefined || nfs.path === undefined)
    return { reason: "its root is known only from the DHCP answer" };
  if (artifacts.length > 0) return { reason: "its artifacts are unpacked over an NFS export" };
  const options = ["ro", ...(nfs.version === undefined ? [] : [`vers=${nfs.version}`])].join(",");
  const source = quoteShellWord(`${nfs.server}:${nfs.path}`);
  const lines = [
    `sudo mkdir -p ${MOUNT_POINT}`,
    `sudo mount -t nfs -o ${options} ${source} ${MOUNT_POINT}`,
    ["sudo podman run --rm -it", ...flags, "--rootfs", `${MOUNT_POINT}:O`].join(" "),
  ];
  return { shell: lines.join(" && ") };
}

/** As on the DUT, privileged and on the host's network, but with a shell as the entrypoint. */
function formatFlags({ image, env, volumes = [], workdir, container = {} }: Step, job: Job): string[] {
  const reference =
    image && "registry" in image ? image : job.root && "image" in job.root ? job.root.image : undefined;
  const isInsecure =
    container.isRegistryInsecure ||
    (reference && isHostInsecure(new URL(`https://${reference.registry}`), job.insecureHosts));
  return [
    ...(container.isPrivileged === false ? [] : ["--privileged"]),
    `--network=${container.network ?? "host"}`,
    ...(isInsecure ? ["--tls-verify=false"] : []),
    ...env.map((entry) => `-e ${quoteShellWord(hideEnvironment(entry))}`),
    ...volumes.map(formatMount),
    ...(job.results && !image ? ["-v dutboot-results:/results"] : []),
    ...(workdir === undefined ? [] : [`-w ${quoteShellWord(workdir)}`]),
    ...formatSettings(container),
    "--entrypoint /bin/sh",
  ];
}

function formatMount({ kind, source, target, options }: Mount): string {
  if (kind === "tmpfs")
    return `--tmpfs ${quoteShellWord([target, options.join(",")].filter(Boolean).join(":"))}`;
  return `-v ${quoteShellWord([source, target, options.join(",")].filter(Boolean).join(":"))}`;
}

/** Settings that change the test's environment; limits and the way a container stops are left out. */
function formatSettings(settings: ContainerSettings): string[] {
  const { user, hostname, pid, ipc, isReadOnly } = settings;
  const { addedCapabilities = [], droppedCapabilities = [], devices = [] } = settings;
  const flag = (name: string, value: string | undefined) =>
    value === undefined ? [] : [`--${name}=${quoteShellWord(value)}`];
  return [
    ...flag("user", user),
    ...flag("hostname", hostname),
    ...flag("pid", pid),
    ...flag("ipc", ipc),
    ...addedCapabilities.flatMap((name) => flag("cap-add", name)),
    ...droppedCapabilities.flatMap((name) => flag("cap-drop", name)),
    ...devices.flatMap(({ source, target, permissions }) =>
      flag("device", `${source}:${target}:${permissions}`),
    ),
    ...(isReadOnly ? ["--read-only"] : []),
  ];
}

/** Parameters of the farm's machine: a virtual one has other consoles, addresses and disks. */
const FARM_PARAMETERS =
  /^(console|earlycon|earlyprintk|BOOTIF|BOOT_IMAGE|initrd|SALAD\..*|dut\.(cache(_.*)?|iface|image_store|log|mirror|nbd|poweroff_delay|proxy|swap)|b2c\.(cache_device|iface|nbd|poweroff_delay|proxy|storage|swap))$/;

/** Loaders put the kernel's own file first. */
const KERNEL_FILE = /\/|\.(efi|img|gz|itb)$|^(vmlinu[xz]|[bz]?Image|kernel|linux)/i;

/** `npx dutboot boot -- '…'` with the job's own parameters. */
export function formatBootLine(line: string): string {
  const { parameters, initParameters } = parseCommandLine(undoLoaderEscapes(line.trim()).text);
  const isKept = ({ name, value }: { name: string; value: string | undefined }, index: number) =>
    !FARM_PARAMETERS.test(name) &&
    !(name === "ip" && value !== "dhcp") &&
    !(index === 0 && value === undefined && KERNEL_FILE.test(name));
  const words = parameters.filter(isKept).map(({ text }) => text);
  const rest = initParameters.length > 0 ? ["--", ...initParameters.map(({ text }) => text)] : [];
  return `npx dutboot boot -- ${quoteShellWord(hideSecrets([...words, ...rest].join(" ")))}`;
}
