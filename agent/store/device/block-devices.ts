/**
 * The block devices of this machine and what is on them: label, UUID and file system by blkid, model and size by sysfs.
 */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname } from "node:path";
import { promisify } from "node:util";

export interface BlockDevice {
  /** `/dev/vda1` */
  path: string;
  /** Of a partition: the disk it is on, `/dev/vda`. */
  disk?: string;
  sizeBytes: number;
  model: string;
  label?: string;
  /** The partition's own name, in the partition table. */
  partitionLabel?: string;
  uuid?: string;
  fileSystem?: string;
  /** True when it holds partitions, so that formatting it would take them all. */
  isPartitioned: boolean;
  isReadOnly: boolean;
}

const SECTOR_BYTES = 512;
const PSEUDO_DEVICE = /^(ram|zram|sr|fd|dm-)/;

/** Those with something in them: no empty card readers, no unused loop or network devices. */
export async function listBlockDevices(): Promise<BlockDevice[]> {
  const names = readdirSync("/sys/class/block").filter((name) => !PSEUDO_DEVICE.test(name));
  const signatures = await readSignatures();
  return names.map((name) => describe(name, signatures)).filter(({ sizeBytes }) => sizeBytes > 0);
}

function describe(name: string, signatures: Map<string, Record<string, string>>): BlockDevice {
  const path = `/dev/${name}`;
  const folder = `/sys/class/block/${name}`;
  const {
    LABEL: label,
    PARTLABEL: partitionLabel,
    UUID: uuid,
    TYPE: fileSystem,
  } = signatures.get(path) ?? {};
  const isPartition = existsSync(`${folder}/partition`);
  return {
    path,
    ...(isPartition && { disk: `/dev/${basename(dirname(realpathSync(folder)))}` }),
    sizeBytes: Number(readText(`${folder}/size`)) * SECTOR_BYTES,
    model: readModel(name),
    isPartitioned: listFolder(folder).some((entry) => entry.startsWith(name)),
    isReadOnly: readText(`${folder}/ro`) === "1",
    label,
    partitionLabel,
    uuid,
    fileSystem,
  };
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
    // Not from its cache file: what was formatted a moment ago counts.
    const { stdout } = await promisify(execFile)("blkid", ["-c", "/dev/null"]);
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

// Devices go away while we look, and not every driver has every attribute.
function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}
