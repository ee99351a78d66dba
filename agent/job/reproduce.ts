/**
 * One-liners for the desk of whoever's test failed: a shell in the step's environment by podman, and the same job in QEMU.
 * Secrets are not in them; what the farm alone has (its disks, addresses, consoles) is left out.
 */
import { formatImageReference } from "../oci/reference.ts";
import { parseCommandLine } from "./command-line.ts";
import { isHostInsecure } from "./insecure-hosts.ts";
import type { AnyJob, NfsRoot } from "./job.ts";
import { hideEnvironment, hideSecrets } from "./redact.ts";
import { quoteShellWord } from "./shell-words.ts";
import type { ContainerSettings, Mount, Step } from "./step.ts";

export interface Reproducer {
  /** What it reproduces: the number of a step among all, from 1, and its kind. */
  step: number;
  kind: Step["kind"];
  /** Gives a shell; to be pasted. */
  shell: string;
  /** What the step runs, for that shell; absent: what the image runs by itself. */
  command?: string;
}

const CONTAINER = "dutboot-shell";
const MOUNT_POINT = "/tmp/dutboot-root";

/** One for each step that can be read. */
export function planReproducers(job: AnyJob): Reproducer[] {
  return job.steps.flatMap((step, at) => {
    const shell = step.error ? undefined : formatShellLine(job, step);
    if (shell === undefined) return [];
    const words = [...(step.entrypoint ?? []), ...(step.argv ?? [])];
    const command = words.map((word) => hideSecrets(quoteShellWord(word))).join(" ");
    return { step: at + 1, kind: step.kind, shell, ...(command !== "" && { command }) };
  });
}

function formatShellLine(job: AnyJob, step: Step): string | undefined {
  const flags = formatFlags(step, job);
  if (step.image) {
    if ("id" in step.image) return formatPodmanRun(flags, step.image.id);
    return formatImageShell(formatImageReference(step.image), flags, { artifacts: [] });
  }
  if (!job.root) return undefined;
  if ("nfs" in job.root) return formatNfsShell(job.root, flags);
  if (!("image" in job.root)) return undefined;
  return formatImageShell(formatImageReference(job.root.image), flags, job);
}

/** Artifacts go in by `podman cp`, which unpacks what comes on its stdin, compressed or not. */
function formatImageShell(
  image: string,
  flags: readonly string[],
  { artifacts, s3 }: Pick<AnyJob, "artifacts" | "s3">,
): string {
  if (artifacts.length === 0) return formatPodmanRun(flags, image);
  const create = ["podman create --name", CONTAINER, "-it", ...flags, image].join(" ");
  const copies = artifacts.map(
    ({ url, to }) => `${formatDownload(url, s3)} | podman cp - ${quoteShellWord(`${CONTAINER}:${to}`)}`,
  );
  return `${[create, ...copies, `podman start -ai ${CONTAINER}`].join(" && ")}; podman rm -f ${CONTAINER}`;
}

function formatDownload(url: string, s3: AnyJob["s3"]): string {
  if (!url.startsWith("s3://")) return `curl -fL ${quoteShellWord(hideSecrets(url))}`;
  const endpoint = s3 ? `--endpoint-url ${quoteShellWord(s3.url)} ` : "";
  return `aws ${endpoint}s3 cp ${quoteShellWord(url)} -`;
}

const formatPodmanRun = (flags: readonly string[], image: string) =>
  ["podman run --rm -it", ...flags, image].join(" ");

function formatNfsShell({ nfs }: NfsRoot, flags: readonly string[]): string | undefined {
  if (nfs.server === undefined || nfs.path === undefined) return undefined;
  const options = ["ro", ...(nfs.version === undefined ? [] : [`vers=${nfs.version}`])].join(",");
  const source = quoteShellWord(`${nfs.server}:${nfs.path}`);
  return [
    `sudo mkdir -p ${MOUNT_POINT}`,
    `sudo mount -t nfs -o ${options} ${source} ${MOUNT_POINT}`,
    ["sudo podman run --rm -it", ...flags, "--rootfs", `${MOUNT_POINT}:O`].join(" "),
  ].join(" && ");
}

/** As the DUT runs it: privileged, on the host's network; the entrypoint is a shell. */
function formatFlags({ image, env, volumes = [], workdir, container = {} }: Step, job: AnyJob): string[] {
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

/** Settings that change what a test sees; those of its ending and its limits are left out. */
function formatSettings(settings: ContainerSettings): string[] {
  const {
    user,
    hostname,
    pid,
    ipc,
    addedCapabilities = [],
    droppedCapabilities = [],
    devices = [],
  } = settings;
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
    ...(settings.isReadOnly ? ["--read-only"] : []),
  ];
}

/** What belongs to the farm's machine and not to the job: a virtual one has other consoles, addresses and disks. */
const OF_THE_FARM =
  /^(console|earlycon|earlyprintk|BOOTIF|BOOT_IMAGE|initrd|SALAD\..*|dut\.cache(_.*)?|b2c\.(cache_device|iface|nbd|swap|poweroff_delay))$/;

/** `npx dutboot boot -- '…'` with the job's words alone. */
export function formatBootLine(line: string): string {
  const { parameters, initParameters } = parseCommandLine(line.trim());
  const isKept = ({ name, value }: { name: string; value: string | undefined }) =>
    !OF_THE_FARM.test(name) && !(name === "ip" && value !== "dhcp");
  const words = parameters.filter(isKept).map(({ text }) => text);
  const rest = initParameters.length > 0 ? ["--", ...initParameters.map(({ text }) => text)] : [];
  return `npx dutboot boot -- ${quoteShellWord(hideSecrets([...words, ...rest].join(" ")))}`;
}

/** The lines that are printed at the end of a job, and by `dutboot reproduce`. */
export function formatReproduction(line: string, job: AnyJob): string[] {
  const steps = planReproducers(job).filter(({ kind }) => kind === "main");
  return [
    ...steps.flatMap(({ step, shell, command }) => [
      `a shell in the environment of step ${step}${command === undefined ? "" : `, which runs: ${command}`}`,
      shell,
    ]),
    "the same job in QEMU",
    formatBootLine(line),
  ];
}
