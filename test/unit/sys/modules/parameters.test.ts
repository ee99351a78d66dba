import { expect, it } from "vitest";
import { findModuleParameters } from "../../../../agent/sys/modules/parameters.ts";

it.for([
  ["ramoops.mem_address=0x10000000 quiet ramoops.ecc=1", "ramoops", "mem_address=0x10000000 ecc=1"],
  ["nvme-core.multipath=N", "nvme_core", "multipath=N"],
  ["nvme_core.multipath=N", "nvme-core", "multipath=N"],
  ["usbcore.quirks=1:2:g,3:4:h usb.x=1", "usbcore", "quirks=1:2:g,3:4:h"],
  ['snd.id="a b" snd.on', "snd", 'id="a b" on'],
  ["xramoops.a=1 ramoopsx.a=1 ramoops ramoops=1 dut.ramoops.a=1", "ramoops", ""],
  ["quiet -- ramoops.a=1", "ramoops", ""],
  ["", "ramoops", ""],
])('%s: %s gets "%s"', ([line, name, parameters]) => {
  expect(findModuleParameters(line!, name!)).toBe(parameters);
});
