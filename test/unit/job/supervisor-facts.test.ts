/** What the supervisor learns from a command line, valid or not. */
import { expect, it } from "vitest";
import { readSupervisorFacts } from "../../../agent/job/supervisor-facts.ts";

const DEFAULTS = {
  dialect: "dut",
  onExit: "poweroff",
  poweroffDelayS: 0,
  usesWatchdog: true,
  staysInPanic: false,
};

it.each([
  ["", {}],
  ["dut.iamge=x dut.on_exit=reboot", { onExit: "reboot" }],
  ['dut.image=h:1/i "dut.on_exit=halt" dut.watchdog=never', { onExit: "halt", usesWatchdog: false }],
  ["dut.on_exit=suspend dut.watchdog=nevr", {}],
  ["b2c.run=h:1/i b2c.poweroff_delay=15", { dialect: "b2c", poweroffDelayS: 15 }],
  ["b2c.run=h:1/i b2c.poweroff_delay=0.5", { dialect: "b2c", poweroffDelayS: 1 }],
  ["b2c.run=h:1/i b2c.poweroff_delay=2m", { dialect: "b2c", poweroffDelayS: 120 }],
  ["b2c.run=h:1/i b2c.poweroff_delay=soon", { dialect: "b2c" }],
  ["b2c.run=h:1/i dut.rootfs=file:/r dut.init=/init", {}],
  ["b2c.run=h:1/i dut.service=h:1/s", {}],
  ["root=/dev/nfs", { dialect: "nfsroot" }],
  ["quiet -- dut.on_exit=halt", {}],
  ["panic=30 panic=0", { staysInPanic: true }],
])("%s", (line, expected) => {
  expect(readSupervisorFacts(line)).toEqual({ ...DEFAULTS, ...expected });
});
