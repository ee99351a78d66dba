/**
 * Finds, formats and mounts the cache device. choose-device.ts decides what may be formatted; formatting is logged first.
 */

import { execFile } from "node:child_process";
import { closeSync, constants, fsyncSync, mkdirSync, openSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { AgentError } from "../../errors.ts";
import { ioctl, isKernelError, mountAsync } from "../../kernel/syscalls.ts";
import { CACHE_DEVICE_WAIT_MS } from "../limits.ts";
import { type BlockDevice, listBlockDevices } from "./block-devices.ts";
import {
  CACHE_LABELS,
  type DeviceChoice,
  type DevicePlan,
  isLabelled,
  type PlanOptions,
  planDevice,
} from "./choose-device.ts";

export interface CacheOptions extends PlanOptions {
  log: { info(line: string): void; warn(line: string): void };
  signal: AbortSignal;
  waitMs?: number;
}

/** Undefined if `auto` found no device. Throws STORE_* errors. */
export async function mountCacheDevice(
  choice: DeviceChoice,
  target: string,
  options: CacheOptions,
): Promise<BlockDevice | undefined> {
  const plan = await waitForDevice(choice, options);
  const { dialect, log } = options;
  const labels = Object.values(CACHE_LABELS).join(" or ");
  if (!plan) {
    if (choice === "auto" || (choice === "reset" && dialect === "b2c")) {
      log.warn(`cache: no device has the label ${labels}; the store is in RAM`);
      return undefined;
    }
    throw new AgentError("STORE_NO_DEVICE", `Cannot find the cache device "${formatChoice(choice)}"`);
  }
  const { device, action } = plan;
  if (action === "refuse") {
    const content = device.fileSystem ?? (device.isPartitioned ? "partitions" : "no known file system");
    throw new AgentError(
      "STORE_DEVICE_FOREIGN",
      `Cannot use ${describeDevice(device)} as "${formatChoice(choice)}": it does not have the label ${labels}, and it contains ${content}, not ext4`,
    );
  }
  if (action === "format") {
    log.warn(`cache: formatting ${describeDevice(device)}`);
    await formatDevice(device, chooseLabel(device, options));
  }
  mkdirSync(target, { recursive: true });
  await mountExt4(device, target);
  log.info(`cache: ${describeDevice(device)} mounted`);
  return device;
}

/** A labelled device keeps its label. */
function chooseLabel(device: BlockDevice, { dialect }: CacheOptions): string {
  if (isLabelled(device) && device.label) return device.label;
  return dialect === "b2c" ? CACHE_LABELS.b2c : CACHE_LABELS.own;
}

async function waitForDevice(choice: DeviceChoice, options: CacheOptions): Promise<DevicePlan | undefined> {
  const { signal, waitMs = CACHE_DEVICE_WAIT_MS } = options;
  const deadline = performance.now() + waitMs;
  for (;;) {
    const plan = planDevice(choice, await listBlockDevices(), options);
    // A spare disk is the last resort: the labelled one may still appear.
    const isCertain = plan && (typeof choice !== "string" || isLabelled(plan.device));
    if (isCertain || performance.now() >= deadline) return plan;
    await sleep(250, undefined, { signal });
  }
}

async function mountExt4(device: BlockDevice, target: string): Promise<void> {
  try {
    await mountAsync({ source: device.path, target, type: "ext4" });
  } catch (error) {
    if (!isKernelError(error)) throw error;
    throw new AgentError("STORE_NO_DEVICE", `Cannot mount ${describeDevice(device)}: ${error.message}`, {
      cause: error,
    });
  }
}

function formatChoice(choice: DeviceChoice): string {
  if (typeof choice === "string") return choice;
  if ("label" in choice) return `LABEL=${choice.label}`;
  return "uuid" in choice ? `UUID=${choice.uuid}` : choice.device;
}

const FEATURES = "verity,encrypt,^metadata_csum_seed";

/** Throws STORE_FORMAT_FAILED. */
async function formatDevice(device: BlockDevice, label: string): Promise<void> {
  try {
    if (device.disk === undefined) wipePartitionTable(device);
    // 4 KiB on small devices, too: fs-verity and fscrypt need it.
    const layout = ["-b", "4096", "-O", FEATURES, "-L", label];
    await promisify(execFile)("mkfs.ext4", ["-q", "-F", ...layout, device.path]);
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw new AgentError(
      "STORE_FORMAT_FAILED",
      `Cannot format ${describeDevice(device)}: ${stderr?.trim() || message}`,
      { cause: error },
    );
  }
}

/** GPT uses 33 sectors at both ends: less than this with sectors of any size. */
const TABLE_BYTES = 1024 * 1024;
const BLKRRPART = 0x125f;

function wipePartitionTable({ path, sizeBytes, isPartitioned }: BlockDevice): void {
  // O_EXCL fails while any of the device is in use.
  const fd = openSync(path, constants.O_RDWR | constants.O_EXCL);
  try {
    const zeros = Buffer.alloc(TABLE_BYTES);
    for (const position of [0, Math.max(0, sizeBytes - TABLE_BYTES)]) {
      writeSync(fd, zeros, 0, Math.min(TABLE_BYTES, sizeBytes), position);
    }
    fsyncSync(fd);
    if (isPartitioned) ioctl(fd, BLKRRPART);
  } finally {
    closeSync(fd);
  }
}

function describeDevice({ path, model, sizeBytes, label }: BlockDevice): string {
  const name = label ? `, label ${label}` : "";
  return `${path} (${model}, ${(sizeBytes / 1e9).toFixed(1)} GB${name})`;
}
