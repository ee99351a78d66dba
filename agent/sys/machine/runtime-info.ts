/**
 * What machine this is, from /proc and /sys: for the first lines of a log, where people look whether they got the right one.
 */
import { machine, release, totalmem } from "node:os";
import type { RuntimeInfo } from "../../wire/b2c-console.ts";
import { readdirIfThere, readIfThere } from "../read-if-there.ts";

const SECTOR_BYTES = 512;

export function readRuntimeInfo(
  agentVersion: string,
  { procPath = "/proc", sysfsPath = "/sys" } = {},
): RuntimeInfo {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(readIfThere(`${procPath}/cpuinfo`))?.[1];
  return {
    linuxVersion: release(),
    agentVersion,
    architecture: machine(),
    cpu: cpu ?? readBoardModel(sysfsPath),
    ramBytes: totalmem(),
    disks: listDisks(`${sysfsPath}/block`),
  };
}

/** Arm's kernels name no CPU, but the board. */
function readBoardModel(sysfsPath: string): string {
  return readIfThere(`${sysfsPath}/firmware/devicetree/base/model`).replace(/\0.*$/, "");
}

/** Whole disks with something in them; RAM disks and unused loop devices are none. */
function listDisks(path: string): RuntimeInfo["disks"] {
  return readdirIfThere(path)
    .filter((name) => !/^(ram|zram)/.test(name))
    .map((name) => ({ name, sizeBytes: Number(readIfThere(`${path}/${name}/size`)) * SECTOR_BYTES }))
    .filter(({ sizeBytes }) => sizeBytes > 0);
}
