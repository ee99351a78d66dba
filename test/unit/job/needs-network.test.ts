import { describe, expect, it } from "vitest";
import { needsNetwork } from "../../../agent/job/job.ts";
import { readCommandLine } from "../../../agent/job/read-job.ts";

const LINES: readonly [line: string, needs: boolean][] = [
  ["dut.rootfs=file:/rootfs dut.init=/init", false],
  ["dut.rootfs=file:/rootfs.tar.zst dut.run=true", false],
  ["dut.rootfs=file:/rootfs dut.artifact=https://a.farm/install.tar dut.run=true", true],
  ["dut.rootfs=file:/rootfs dut.run=true dut.results=https://s3.farm/results", true],
  ["dut.rootfs=file:/rootfs dut.run=true ip=dhcp", true],
  ["dut.rootfs=file:/rootfs dut.run=true dut.log=syslog://logs.farm", true],
  ["dut.rootfs=file:/rootfs dut.run=true dut.netconsole=logs.farm", true],
  ["dut.rootfs=https://a.farm/root.tar dut.run=true", true],
  ["dut.rootfs=nfs://server/root dut.run=true", true],
  ["dut.image=registry.farm/test:1", true],
  ["b2c.run=docker://registry.farm/test:1", true],
];

describe("needsNetwork", () => {
  it.each(LINES)("%s", (line, needs) => {
    const { job, errors } = readCommandLine(line);
    expect(errors).toEqual([]);
    expect(needsNetwork(job!)).toBe(needs);
  });
});
