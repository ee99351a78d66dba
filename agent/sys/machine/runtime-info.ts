/**
 * Describes the machine from /proc and /sys, for the first lines of the log.
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

/** Kernels for Arm name the board, not the CPU. */
function readBoardModel(sysfsPath: string): string {
  return readIfThere(`${sysfsPath}/firmware/devicetree/base/model`).replace(/\0.*$/, "");
}

/** Whole disks; not RAM disks and unused loop devices. */
function listDisks(path: string): RuntimeInfo["disks"] {
  return readdirIfThere(path)
    .filter((name) => !/^(ram|zram)/.test(name))
    .map((name) => ({ name, sizeBytes: Number(readIfThere(`${path}/${name}/size`)) * SECTOR_BYTES }))
    .filter(({ sizeBytes }) => sizeBytes > 0);
}
