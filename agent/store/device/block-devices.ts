/**
 * Lists the block devices of this machine: label, UUID and file system from blkid, model and size from sysfs.
 */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname } from "node:path";
import { promisify } from "node:util";

export interface BlockDevice {
  /** `/dev/vda1` */
  path: string;
  /** Of a partition, its disk: `/dev/vda`. */
  disk?: string;
  sizeBytes: number;
  model: string;
  label?: string;
  /** The name in the partition table. */
  partitionLabel?: string;
  uuid?: string;
  fileSystem?: string;
  /** It contains partitions. */
  isPartitioned: boolean;
  isReadOnly: boolean;
}

const SECTOR_BYTES = 512;
const PSEUDO_DEVICE = /^(ram|zram|sr|fd|dm-)/;

/** Without empty card readers and unused loop and network devices, which have no size. */
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
    // Without the cache file, which does not know new file systems.
    const { stdout } = await promisify(execFile)("blkid", ["-c", "/dev/null"]);
    return parseBlkid(stdout);
  } catch (error) {
    // The exit code is 2 if nothing was found.
    if ((error as { code?: unknown }).code === 2) return new Map();
    throw error;
  }
}

function readModel(name: string): string {
  const base = `/sys/class/block/${name}`;
  const candidates = [`${base}/device/model`, `${base}/../device/model`, `${base}/device/name`];
  return candidates.map(readText).find((text) => text !== "") ?? "unknown model";
}

// Devices may disappear, and drivers may lack an attribute.
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
