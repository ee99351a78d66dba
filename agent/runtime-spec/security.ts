/**
 * podman's --security-opt, and the kernel's files that an unprivileged container cannot see or change.
 * podman-create(1), --security-opt; the lists are those of containers/common.
 */
import { createSettingError } from "./setting-error.ts";

const MASKED = (
  "/proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/sched_debug /proc/scsi " +
  "/proc/timer_list /proc/timer_stats /sys/dev/block /sys/devices/virtual/powercap /sys/firmware /sys/fs/selinux"
).split(" ");
const READ_ONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger".split(" ");

export interface SecurityPlan {
  noNewPrivileges: boolean;
  maskedPaths: string[];
  readonlyPaths: string[];
  appArmorProfile?: string;
  procOptions: string[];
}

/** Throws RUN_BAD_SETTING for unsupported options: the test must not run with less protection than requested. */
export function planSecurity(isPrivileged: boolean, options: readonly string[] = []): SecurityPlan {
  const plan: SecurityPlan = {
    noNewPrivileges: false,
    maskedPaths: isPrivileged ? [] : [...MASKED],
    readonlyPaths: isPrivileged ? [] : [...READ_ONLY],
    procOptions: [],
  };
  for (const option of options) apply(option, plan);
  return plan;
}

function apply(option: string, plan: SecurityPlan): void {
  const [, name = "", value] = /^([\w-]+)(?:[=:](.*))?$/s.exec(option) ?? [];
  const paths = (value ?? "").split(":").filter((path) => path !== "");
  // There is no such confinement here, so disabling it has no effect.
  const isUnconfined = value === "unconfined" || value === "disable";
  if (name === "no-new-privileges" && /^(true|false)?$/.test(value ?? "")) {
    plan.noNewPrivileges = value !== "false";
  } else if (name === "mask" && paths.length > 0) plan.maskedPaths.push(...paths);
  else if (name === "unmask" && paths.length > 0) unmask(paths, plan);
  else if (name === "systempaths" && isUnconfined) unmask(["ALL"], plan);
  else if (name === "proc-opts" && value) plan.procOptions.push(...value.split(","));
  else if (name === "apparmor" && value && !isUnconfined) plan.appArmorProfile = value;
  else if (name === "label" || (isUnconfined && (name === "apparmor" || name === "seccomp"))) return;
  else throw createSettingError(`Cannot apply the security option "${option}": it is not supported`);
}

function unmask(paths: readonly string[], plan: SecurityPlan): void {
  const isNamed = (path: string) =>
    paths.some((named) => named.toUpperCase() === "ALL" || matches(named, path));
  plan.maskedPaths = plan.maskedPaths.filter((path) => !isNamed(path));
  plan.readonlyPaths = plan.readonlyPaths.filter((path) => !isNamed(path));
}

/** `/proc/*` matches what is directly below /proc, as in podman. */
function matches(named: string, path: string): boolean {
  if (!named.endsWith("/*")) return named === path;
  const directory = named.slice(0, -1);
  return path.startsWith(directory) && !path.slice(directory.length).includes("/");
}
