/**
 * The cache device: which one a job means, and mounting it. A disk is formatted only when the job names it and says so;
 * `auto` looks for our label and touches nothing else.
 */
import { execFile } from "node:child_process";
import { mkdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { AgentError } from "../errors.ts";
import type { CacheChoice } from "../job/job.ts";
import { isKernelError, mountAsync } from "../kernel/syscalls.ts";
import { CACHE_DEVICE_WAIT_MS } from "../limits.ts";
import { type BlockDevice, isBlockDevice, listBlockDevices } from "./block-devices.ts";

/** What our formatting writes, and what `auto` looks for. */
const CACHE_LABEL = "DUTBOOT_CACHE";

export interface CacheOptions {
  /** `dut.cache_format=yes`. */
  mayFormat: boolean;
  log: { info(line: string): void; warn(line: string): void };
  signal: AbortSignal;
  waitMs?: number;
}

/** Mounts the chosen device on `target`; undefined when `auto` found none. Throws STORE_* errors. */
export async function mountCacheDevice(
  choice: Exclude<CacheChoice, "none">,
  target: string,
  options: CacheOptions,
): Promise<BlockDevice | undefined> {
  const device = await waitForDevice(choice, options);
  if (!device) {
    if (choice === "auto") {
      options.log.warn(`cache: no device is labelled ${CACHE_LABEL}, going on in RAM`);
      return undefined;
    }
    throw new AgentError("STORE_NO_DEVICE", `Cannot find the cache device "${formatChoice(choice)}"`);
  }
  mkdirSync(target, { recursive: true });
  // A device that the job names and that holds ext4 is used as it is: the store keeps to a folder of its own there.
  if (choice === "reset" || device.fileSystem !== "ext4") await formatDevice(device, choice, options);
  await mountExt4(device, target);
  options.log.info(`cache: ${describe(device)} mounted`);
  return device;
}

async function waitForDevice(
  choice: Exclude<CacheChoice, "none">,
  { signal, waitMs = CACHE_DEVICE_WAIT_MS }: CacheOptions,
): Promise<BlockDevice | undefined> {
  const deadline = performance.now() + waitMs;
  for (;;) {
    const devices = await listBlockDevices();
    const found = devices.find((device) => matches(device, choice));
    if (found || performance.now() >= deadline) return found;
    await sleep(250, undefined, { signal });
  }
}

function matches(device: BlockDevice, choice: Exclude<CacheChoice, "none">): boolean {
  if (choice === "auto" || choice === "reset") return device.label === CACHE_LABEL;
  if ("label" in choice) return device.label === choice.label;
  if ("uuid" in choice) return device.uuid?.toLowerCase() === choice.uuid.toLowerCase();
  return device.path === choice.device && isBlockDevice(device.path);
}

async function formatDevice(
  device: BlockDevice,
  choice: Exclude<CacheChoice, "none">,
  { mayFormat, log }: CacheOptions,
): Promise<void> {
  // Our own label is the permission to reset; any other device needs the job's word, and its name.
  if (device.label !== CACHE_LABEL && !mayFormat) {
    throw new AgentError(
      "STORE_DEVICE_FOREIGN",
      `Cannot use ${describe(device)} as "${formatChoice(choice)}": it holds ${device.fileSystem ?? (device.isPartitioned ? "partitions" : "no known file system")}, not ext4`,
    );
  }
  log.warn(`cache: formatting ${describe(device)}`);
  try {
    const features = "verity,^metadata_csum_seed";
    // Blocks of 4 KiB on small devices too: fs-verity's are no larger than the file system's.
    const layout = ["-b", "4096", "-O", features, "-L", CACHE_LABEL];
    await promisify(execFile)("mkfs.ext4", ["-q", "-F", ...layout, device.path]);
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new AgentError("STORE_FORMAT_FAILED", `Cannot format ${describe(device)}: ${stderr?.trim()}`, {
      cause: error,
    });
  }
}

async function mountExt4(device: BlockDevice, target: string): Promise<void> {
  try {
    await mountAsync({ source: device.path, target, type: "ext4" });
  } catch (error) {
    if (!isKernelError(error)) throw error;
    throw new AgentError("STORE_NO_DEVICE", `Cannot mount ${describe(device)}: ${error.message}`, {
      cause: error,
    });
  }
}

function describe({ path, model, sizeBytes, label }: BlockDevice): string {
  const name = label ? `, label ${label}` : "";
  return `${path} (${model}, ${(sizeBytes / 1e9).toFixed(1)} GB${name})`;
}

function formatChoice(choice: Exclude<CacheChoice, "none">): string {
  if (typeof choice === "string") return choice;
  if ("label" in choice) return `LABEL=${choice.label}`;
  return "uuid" in choice ? `UUID=${choice.uuid}` : choice.device;
}
