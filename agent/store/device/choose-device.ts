/**
 * Chooses the block device for a job's cache option, and decides what must be done to it. Changes nothing.
 * `auto` and `reset` find devices by our labels and boot2container's; a b2c job has further rules.
 */
import type { CacheChoice, Dialect } from "../../job/job.ts";
import type { BlockDevice } from "./block-devices.ts";

export type DeviceChoice = Exclude<CacheChoice, "none">;

/** The labels that formatting writes. Both dialects use both. */
export const CACHE_LABELS = { own: "DUTBOOT_CACHE", b2c: "B2C_CACHE" } as const;

export interface DevicePlan {
  device: BlockDevice;
  /** `format`: it has nothing of value, or the job allows it. `refuse`: formatting needs the job's permission. */
  action: "mount" | "format" | "refuse";
}

export interface PlanOptions {
  dialect: Dialect;
  /** `dut.cache_format=yes`. */
  mayFormat: boolean;
  /** Whether a disk may be used that has no label and is not in the job. */
  isSpareDisk?: (device: BlockDevice) => boolean;
}

/** Undefined if no device matches. */
export function planDevice(
  choice: DeviceChoice,
  devices: readonly BlockDevice[],
  options: PlanOptions,
): DevicePlan | undefined {
  if (choice === "auto" || choice === "reset") {
    const labelled = findLabelled(devices);
    if (labelled) {
      const isFresh = choice === "reset" || labelled.fileSystem !== "ext4";
      return { device: labelled, action: isFresh ? "format" : "mount" };
    }
    return options.dialect === "b2c" ? planSpareDisk(devices, options) : undefined;
  }
  const named = devices.find(({ label, uuid, path }) => {
    if ("label" in choice) return label === choice.label;
    return "uuid" in choice ? uuid?.toLowerCase() === choice.uuid.toLowerCase() : path === choice.device;
  });
  return planNamed(named, devices, options);
}

export function isLabelled({ label, partitionLabel }: BlockDevice): boolean {
  const labels: readonly (string | undefined)[] = Object.values(CACHE_LABELS);
  // boot2container accepts both kinds of labels.
  return labels.includes(label) || labels.includes(partitionLabel);
}

function findLabelled(devices: readonly BlockDevice[]): BlockDevice | undefined {
  const own = devices.find(({ label }) => label === CACHE_LABELS.own);
  return own ?? devices.find(isLabelled);
}

function planNamed(
  device: BlockDevice | undefined,
  devices: readonly BlockDevice[],
  { dialect, mayFormat }: PlanOptions,
): DevicePlan | undefined {
  if (!device) return undefined;
  // The store is one folder, so any ext4 will do.
  if (device.fileSystem === "ext4") return { device, action: "mount" };
  if (isLabelled(device)) return { device, action: "format" };
  if (dialect === "b2c") {
    const onIt = devices.filter(({ disk }) => disk === device.path);
    const labelled = findLabelled(onIt);
    if (labelled) return { device: labelled, action: labelled.fileSystem === "ext4" ? "mount" : "format" };
    // boot2container formats an empty partition that the job names.
    if (device.disk !== undefined && device.fileSystem === undefined) return { device, action: "format" };
  }
  return { device, action: mayFormat ? "format" : "refuse" };
}

/** boot2container formats the first disk it finds. Here the job must allow that. */
function planSpareDisk(
  devices: readonly BlockDevice[],
  { mayFormat, isSpareDisk = isRealDisk }: PlanOptions,
): DevicePlan | undefined {
  const device = devices.find(
    (candidate) => candidate.disk === undefined && !candidate.isReadOnly && isSpareDisk(candidate),
  );
  return device && { device, action: mayFormat ? "format" : "refuse" };
}

const isRealDisk = ({ path }: BlockDevice) => !/^\/dev\/(loop|nbd)/.test(path);
