/**
 * boot2container's lines on the console, byte for byte: farms and GitLab match them to find the start, the result and the end of a job.
 * Taken from boot2container's output and the expressions of CI-Tron's jobs.
 */
import { formatSectionEndMark, formatSectionStartMark, type Moment } from "./gitlab-section.ts";

/** In the order of a job; the submitter of the job opens the first one, before Linux runs. */
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

/** The section of the test, which users want to see. */
const UNFOLDED_SECTION: SectionId = "container_run";

/** With empty lines around it, as all of these texts. The terminal adds CR. */
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

/** Close the open section first, or GitLab folds the error away. */
export function formatB2cError(text: string, moment: Moment): string {
  return `\n\x1b[0;31m[${formatUptime(moment)}]: ERROR: ${text}\x1b[0m\n\n`;
}

export interface RuntimeInfo {
  linuxVersion: string;
  agentVersion: string;
  architecture: string;
  /** Empty when unknown. */
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

/** As lsblk prints it: in steps of 1024, with one decimal unless it is 0. */
function formatDiskSize(bytes: number): string {
  const units = ["B", "K", "M", "G", "T", "P"];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${value.toFixed(1).replace(/\.0$/, "")}${units[unit]}`;
}

export type CacheOutcome =
  | { kind: "none" }
  | { kind: "no-disk" }
  | { kind: "file-system"; name: string }
  | { kind: "device"; device: string; target: string; isMounted: boolean }
  /** The job has no cache for another reason. */
  | { kind: "failed"; reason: string };

/** As in /proc/uptime. */
const formatUptime = ({ uptimeMs }: Moment) => (uptimeMs / 1000).toFixed(2);

/** Texts that farms match or users know. */
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

export function formatOutcome(what: string, isDone: boolean): string {
  return `${what}: ${isDone ? "DONE" : "FAILED"}`;
}
