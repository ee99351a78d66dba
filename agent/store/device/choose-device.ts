/**
 * Which block device a job's word for its cache means, and what would have to be done to it. Looks only: nothing is changed here.
 * `auto` and `reset` know devices by their labels, ours and boot2container's; what a b2c line may do beyond that is its own rule.
 */
import type { CacheChoice, Dialect } from "../../job/job.ts";
import type { BlockDevice } from "./block-devices.ts";

export type DeviceChoice = Exclude<CacheChoice, "none">;

/** What formatting writes, by dialect; either may use what the other has made. */
export const CACHE_LABELS = { own: "DUTBOOT_CACHE", b2c: "B2C_CACHE" } as const;

export interface DevicePlan {
  device: BlockDevice;
  /** `mount`: as it is. `format`: nothing of value is on it, or the job may. `refuse`: only with the job's word. */
  action: "mount" | "format" | "refuse";
}

export interface PlanOptions {
  dialect: Dialect;
  /** `dut.cache_format=yes`. */
  mayFormat: boolean;
  /** Whether a disk may be taken that nobody has named or labelled. */
  isSpareDisk?: (device: BlockDevice) => boolean;
}

/** undefined while no device fits: it may still appear. */
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
  if ("label" in choice)
    return planNamed(
      devices.find(({ label }) => label === choice.label),
      devices,
      options,
    );
  if ("uuid" in choice) {
    const wanted = choice.uuid.toLowerCase();
    return planNamed(
      devices.find(({ uuid }) => uuid?.toLowerCase() === wanted),
      devices,
      options,
    );
  }
  return planNamed(
    devices.find(({ path }) => path === choice.device),
    devices,
    options,
  );
}

export function isLabelled({ label, partitionLabel }: BlockDevice): boolean {
  const labels: readonly (string | undefined)[] = Object.values(CACHE_LABELS);
  // boot2container finds both kinds, without telling them apart.
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
  // ext4 is used as it is: the store keeps to a folder of its own there.
  if (device.fileSystem === "ext4") return { device, action: "mount" };
  if (isLabelled(device)) return { device, action: "format" };
  if (dialect === "b2c") {
    const onIt = devices.filter(({ disk }) => disk === device.path);
    const labelled = findLabelled(onIt);
    if (labelled) return { device: labelled, action: labelled.fileSystem === "ext4" ? "mount" : "format" };
    // A partition without anything on it, named by the job: boot2container formats it, and nothing is lost.
    if (device.disk !== undefined && device.fileSystem === undefined) return { device, action: "format" };
  }
  return { device, action: mayFormat ? "format" : "refuse" };
}

/** boot2container takes the first disk it sees, whole. Here the job has to allow that. */
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
