/**
 * boot2container's lines on the console, byte for byte: farms and GitLab find the start, the result and the end of a job by them.
 * Taken from boot2container's own output and the expressions that CI-Tron's jobs match it with.
 */

import { formatSectionEndMark, formatSectionStartMark, type Moment } from "./gitlab-section.ts";

/** Sections in the order they come in a job; the first is opened by whoever submits the job, before Linux runs. */
export type SectionId =
  | "b2c_kernel_boot"
  | "b2c_setup"
  | "runtime_info"
  | "load_modules"
  | "mount_cache_partition"
  | "connect"
  | "ntp_set"
  | "parse_extra_cmdline"
  | "set_hostname"
  | "set_keymap"
  | "start_pipeline"
  | "execute_hooks"
  | "start_service_container"
  | "create_container"
  | "container_run"
  | "b2c_post_container"
  | "cleanup"
  | "unmount_cache_partition";

/** The section of the test itself: whoever opens the log wants to see that one. */
const UNFOLDED_SECTION: SectionId = "container_run";

/** With the empty lines around it, as all of these texts; what ends a line is up to the terminal. */
export function formatSectionStart(id: SectionId, title: string, moment: Moment): string {
  const mark = formatSectionStartMark(id, moment.nowMs, { isFolded: id !== UNFOLDED_SECTION });
  return `\n${mark}\x1b[0;36m[${formatUptime(moment)}]: ${title}\x1b[0m\n\n`;
}

export function formatSectionEnd(id: SectionId, moment: Moment): string {
  return `${formatSectionEndMark(id, moment.nowMs)}\n`;
}

export function formatB2cLine(text: string, moment: Moment): string {
  return `\n[${formatUptime(moment)}]: ${text}\n\n`;
}

/** The open section has to be closed first, or GitLab hides the error in it. */
export function formatB2cError(text: string, moment: Moment): string {
  return `\n\x1b[0;31m[${formatUptime(moment)}]: ERROR: ${text}\x1b[0m\n\n`;
}

/** The machine, as people compare it with what they expected to get. */
export interface RuntimeInfo {
  linuxVersion: string;
  agentVersion: string;
  architecture: string;
  /** Empty where the kernel does not say. */
  cpu: string;
  ramBytes: number;
  disks: readonly { name: string; sizeBytes: number }[];
}

export function formatRuntimeInfo(info: RuntimeInfo): string {
  const disks = info.disks.map(({ name, sizeBytes }) => `${name}=${formatDiskSize(sizeBytes)}`);
  return [
    `Linux version: ${info.linuxVersion}`,
    `Boot2container version: ${info.agentVersion}`,
    `Architecture: ${info.architecture}`,
    `CPU: ${info.cpu}`,
    `RAM: ${Math.round(info.ramBytes / 1024)} kB`,
    `Block devices: ${disks.join(" ")}`,
    "",
  ].join("\n");
}

/** As lsblk writes it: 1024 is the step, one decimal unless it is 0. */
function formatDiskSize(bytes: number): string {
  const units = ["B", "K", "M", "G", "T", "P"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${value.toFixed(1).replace(/\.0$/, "")}${units[unit]}`;
}

/** What became of the cache. */
export type CacheOutcome =
  | { kind: "none" }
  | { kind: "no-disk" }
  | { kind: "file-system"; name: string }
  | { kind: "device"; device: string; target: string; isMounted: boolean }
  /** Anything else that leaves the job without a cache, said in full. */
  | { kind: "failed"; reason: string };

/** As /proc/uptime has it. */
const formatUptime = ({ uptimeMs }: Moment) => (uptimeMs / 1000).toFixed(2);

/** Texts that others match, or have learned to look for. */
export const B2C_TEXTS = {
  status: (status: number) => `Execution is over, pipeline status: ${status}`,
  poweringOff: "It's now safe to turn off your computer",
  rebooting: "Rebooting the computer",
  containerPassed: "The container run successfully, load the next one!",
  containerFailed: (exitCode: number, continues: boolean) =>
    `The container exited with error code ${exitCode}, ${continues ? "continuing" : "aborting the pipeline"}...`,
  ipIsSet: "Getting IP: SKIPPED (IP already set using ip=...)",
  noDisk: "No disks founds, continue without a cache",
  volumesReady: "Setting up volumes: DONE",
  clockLeftAlone: "WARNING: Did not reset the time, use b2c.ntp_peer=auto to set it on boot",
} as const;

/** How boot2container reports a thing that is tried. */
export function formatOutcome(what: string, isDone: boolean): string {
  return `${what}: ${isDone ? "DONE" : "FAILED"}`;
}
