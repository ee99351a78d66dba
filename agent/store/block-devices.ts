/**
 * The block devices of this machine and what is on them: label, UUID and file system by blkid, model and size by sysfs.
 */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { promisify } from "node:util";

export interface BlockDevice {
  /** `/dev/vda1` */
  path: string;
  sizeBytes: number;
  model: string;
  label?: string;
  uuid?: string;
  fileSystem?: string;
  /** True when it holds partitions, so that formatting it would take them all. */
  isPartitioned: boolean;
}

const SECTOR_BYTES = 512;
const PSEUDO_DEVICE = /^(loop|ram|zram|nbd|sr|fd|dm-)/;

export async function listBlockDevices(): Promise<BlockDevice[]> {
  const names = readdirSync("/sys/class/block").filter((name) => !PSEUDO_DEVICE.test(name));
  const signatures = await readSignatures();
  return names.map((name) => {
    const path = `/dev/${name}`;
    const { LABEL: label, UUID: uuid, TYPE: fileSystem } = signatures.get(path) ?? {};
    return {
      path,
      sizeBytes: Number(readText(`/sys/class/block/${name}/size`)) * SECTOR_BYTES,
      model: readModel(name),
      isPartitioned: readdirSync(`/sys/class/block/${name}/`).some((entry) => entry.startsWith(name)),
      ...(label !== undefined && { label }),
      ...(uuid !== undefined && { uuid }),
      ...(fileSystem !== undefined && { fileSystem }),
    };
  });
}

export function isBlockDevice(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isBlockDevice() ?? false;
}

/** `blkid`'s lines: `/dev/vda: LABEL="x" UUID="y" TYPE="ext4"`. */
export function parseBlkid(output: string): Map<string, Record<string, string>> {
  const devices = new Map<string, Record<string, string>>();
  for (const line of output.split("\n")) {
    const match = /^(\/\S+):\s(.*)$/.exec(line);
    if (!match) continue;
    const pairs = [...match[2]!.matchAll(/(\w+)="([^"]*)"/g)].map(
      ([, key, value]) => [key!, value!] as const,
    );
    devices.set(match[1]!, Object.fromEntries(pairs));
  }
  return devices;
}

async function readSignatures(): Promise<Map<string, Record<string, string>>> {
  try {
    const { stdout } = await promisify(execFile)("blkid", []);
    return parseBlkid(stdout);
  } catch (error) {
    // It ends with 2 when it found nothing.
    if ((error as { code?: unknown }).code === 2) return new Map();
    throw error;
  }
}

/** A partition's model is its disk's. */
function readModel(name: string): string {
  const base = `/sys/class/block/${name}`;
  const candidates = [`${base}/device/model`, `${base}/../device/model`, `${base}/device/name`];
  return candidates.map(readText).find((text) => text !== "") ?? "unknown model";
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return ""; // not every driver has every attribute
  }
}
