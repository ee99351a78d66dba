import { describe, expect, it } from "vitest";
import type { Dialect } from "../../../../agent/job/job.ts";
import type { BlockDevice } from "../../../../agent/store/device/block-devices.ts";
import {
  type DeviceChoice,
  type DevicePlan,
  planDevice,
} from "../../../../agent/store/device/choose-device.ts";

const make = (path: string, facts: Partial<BlockDevice> = {}): BlockDevice => ({
  path,
  sizeBytes: 1e9,
  model: "disk",
  isPartitioned: false,
  isReadOnly: false,
  ...facts,
});
const windowsDisk = make("/dev/sda", { isPartitioned: true });
const windows = make("/dev/sda1", { disk: "/dev/sda", fileSystem: "ntfs", label: "Windows" });
const blankPartition = make("/dev/sda2", { disk: "/dev/sda" });
const data = make("/dev/sda3", { disk: "/dev/sda", fileSystem: "ext4", label: "data" });
const emptyDisk = make("/dev/sdb");
const farmDisk = make("/dev/nvme0n1", { isPartitioned: true });
const farmCache = make("/dev/nvme0n1p1", { disk: "/dev/nvme0n1", fileSystem: "ext4", label: "B2C_CACHE" });
const ourCache = make("/dev/vda", { fileSystem: "ext4", label: "DUTBOOT_CACHE", uuid: "1F-2E" });
const named = make("/dev/vdb1", { disk: "/dev/vdb", partitionLabel: "B2C_CACHE" });
const loop = make("/dev/loop0");
const network = make("/dev/nbd0");
const readOnly = make("/dev/mmcblk0", { isReadOnly: true });

interface Case {
  name: string;
  choice: DeviceChoice;
  devices: BlockDevice[];
  dialect?: Dialect;
  mayFormat?: boolean;
  expected: [string, DevicePlan["action"]] | undefined;
}

const CASES: Case[] = [
  { name: "our label", choice: "auto", devices: [emptyDisk, ourCache], expected: ["/dev/vda", "mount"] },
  {
    name: "boot2container's label, in a job of ours too",
    choice: "auto",
    devices: [windowsDisk, farmDisk, farmCache],
    expected: ["/dev/nvme0n1p1", "mount"],
  },
  {
    name: "our label before boot2container's",
    choice: "auto",
    devices: [farmCache, ourCache],
    dialect: "b2c",
    expected: ["/dev/vda", "mount"],
  },
  {
    name: "a partition called so",
    choice: "auto",
    devices: [named],
    dialect: "b2c",
    expected: ["/dev/vdb1", "format"],
  },
  {
    name: "auto takes no other disk for us",
    choice: "auto",
    devices: [emptyDisk],
    mayFormat: true,
    expected: undefined,
  },
  {
    name: "auto takes no other disk for boot2container either",
    choice: "auto",
    devices: [windowsDisk, windows, emptyDisk],
    dialect: "b2c",
    expected: ["/dev/sda", "refuse"],
  },
  {
    name: "auto takes the first disk whole where the job allows it",
    choice: "auto",
    devices: [loop, network, readOnly, windowsDisk, windows, emptyDisk],
    dialect: "b2c",
    mayFormat: true,
    expected: ["/dev/sda", "format"],
  },
  {
    name: "no disk at all",
    choice: "auto",
    devices: [loop],
    dialect: "b2c",
    mayFormat: true,
    expected: undefined,
  },
  {
    name: "reset formats the labelled one",
    choice: "reset",
    devices: [windows, farmCache],
    dialect: "b2c",
    expected: ["/dev/nvme0n1p1", "format"],
  },
  {
    name: "reset formats ours",
    choice: "reset",
    devices: [emptyDisk, ourCache],
    expected: ["/dev/vda", "format"],
  },
  {
    name: "reset without a label is auto",
    choice: "reset",
    devices: [emptyDisk],
    dialect: "b2c",
    expected: ["/dev/sdb", "refuse"],
  },
  {
    name: "reset without a label, in a job of ours",
    choice: "reset",
    devices: [emptyDisk],
    mayFormat: true,
    expected: undefined,
  },
  {
    name: "a disk is searched for the label",
    choice: { device: "/dev/nvme0n1" },
    devices: [farmDisk, farmCache],
    dialect: "b2c",
    expected: ["/dev/nvme0n1p1", "mount"],
  },
  {
    name: "a disk without a label is left alone",
    choice: { device: "/dev/sda" },
    devices: [windowsDisk, windows, farmCache],
    dialect: "b2c",
    expected: ["/dev/sda", "refuse"],
  },
  {
    name: "a disk without a label, where the job allows it",
    choice: { device: "/dev/sda" },
    devices: [windowsDisk, windows],
    dialect: "b2c",
    mayFormat: true,
    expected: ["/dev/sda", "format"],
  },
  {
    name: "a partition with ext4, whatever its label",
    choice: { device: "/dev/sda3" },
    devices: [data],
    dialect: "b2c",
    expected: ["/dev/sda3", "mount"],
  },
  {
    name: "a blank partition",
    choice: { device: "/dev/sda2" },
    devices: [blankPartition],
    dialect: "b2c",
    expected: ["/dev/sda2", "format"],
  },
  {
    name: "a blank partition, in a job of ours",
    choice: { device: "/dev/sda2" },
    devices: [blankPartition],
    expected: ["/dev/sda2", "refuse"],
  },
  {
    name: "a partition with something else",
    choice: { device: "/dev/sda1" },
    devices: [windows],
    dialect: "b2c",
    expected: ["/dev/sda1", "refuse"],
  },
  {
    name: "a network block device",
    choice: { device: "/dev/nbd0" },
    devices: [network],
    dialect: "b2c",
    mayFormat: true,
    expected: ["/dev/nbd0", "format"],
  },
  {
    name: "not /dev/sda1 for /dev/sda",
    choice: { device: "/dev/sda" },
    devices: [windows],
    dialect: "b2c",
    expected: undefined,
  },
  { name: "a label", choice: { label: "data" }, devices: [windows, data], expected: ["/dev/sda3", "mount"] },
  {
    name: "a UUID in any case",
    choice: { uuid: "1f-2e" },
    devices: [ourCache],
    expected: ["/dev/vda", "mount"],
  },
  {
    name: "a label that nobody has",
    choice: { label: "other" },
    devices: [windows, data],
    expected: undefined,
  },
];

describe("chooses a device and an action", () => {
  it.each(CASES)("$name", ({ choice, devices, dialect = "dut", mayFormat = false, expected }) => {
    const plan = planDevice(choice, devices, { dialect, mayFormat });
    expect(plan && [plan.device.path, plan.action]).toEqual(expected);
  });
});
