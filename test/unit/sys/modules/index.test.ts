import { describe, expect, test } from "vitest";
import { parseModuleIndex } from "../../../../agent/sys/modules/index.ts";

const index = parseModuleIndex({
  alias: `# Aliases extracted from modules themselves.
alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci
alias virtio:d00000001v* virtio-net
alias usb:v0BDAp8153d*dc*dsc*dp*ic*isc*ip*in* r8152
alias usb:v0BDAp8153d*dc*dsc*dp*ic*isc*ip*in* r8153-ecm
alias of:N*T*Cbrcm,bcm2711-genet-v5* genet
alias of:N*T*Cvendor,a-[b-d]x mdio-odd
alias acpi*:PNP0A0[38]:* pci_root
alias acpi*:QEMU0002:* qemu_fw_cfg
alias cpu:type:x86,ven*fam*mod*:feature:*0081* crc32c_intel
alias platform:loop?.dev loop_like
alias symbol:foo not_a_device
broken line
`,
  dep: `kernel/drivers/virtio/virtio_pci.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz kernel/drivers/virtio/virtio.ko.xz
kernel/drivers/virtio/virtio.ko.xz:
kernel/drivers/virtio/virtio_ring.ko.xz: kernel/drivers/virtio/virtio.ko.xz
kernel/drivers/net/virtio-net.ko.zst: kernel/net/failover.ko
kernel/net/failover.ko:
`,
  softdep: "softdep virtio_net pre: crc-x post: later-y\nsoftdep nobody pre: x\n",
  builtin: "kernel/drivers/firmware/qemu_fw_cfg.ko\nkernel/fs/ext4/ext4.ko\n",
});

describe("which module drives a device", () => {
  test.each([
    ["pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00", ["virtio_pci"]],
    ["pci:v00008086d00001237sv*", []],
    ["virtio:d00000001v00001AF4", ["virtio_net"]],
    ["virtio:d00000010v00001AF4", []],
    ["usb:v0BDAp8153d3100dc00dsc00dp00icFFisc00ip00in00", ["r8152", "r8153_ecm"]],
    ["of:NethernetTCbrcm,bcm2711-genet-v5", ["genet"]],
    ["of:NxT(null)Cvendor,a-cx", ["mdio_odd"]],
    ["of:NxT(null)Cvendor,a-ex", []],
    ["acpi:PNP0A08:PNP0A03:", ["pci_root"]],
    ["acpi:PNP0A07:", []],
    ["cpu:type:x86,ven0000fam0006mod003A:feature:,0080,0081,0094,", ["crc32c_intel"]],
    ["platform:loopX.dev", ["loop_like"]],
    ["platform:loopXYdev", []],
    // built in: nothing to load
    ["acpi:QEMU0002:", []],
    ["", []],
  ])("%s", (modalias, modules) => {
    expect(index.findByAlias(modalias)).toEqual(modules);
  });
});

test("dependencies come first, the deepest one first of all", () => {
  expect(index.find("virtio-pci")?.needs).toEqual(["virtio", "virtio_ring"]);
});

test("soft dependencies, names with either dash", () => {
  expect(index.find("virtio_net")).toEqual({
    name: "virtio_net",
    path: "kernel/drivers/net/virtio-net.ko.zst",
    needs: ["failover", "crc_x"],
    wantsAfter: ["later_y"],
  });
});

test("built in, known, unknown", () => {
  expect(index.isBuiltin("ext4")).toBe(true);
  expect(index.isBuiltin("virtio")).toBe(false);
  expect(index.find("nosuch")).toBeUndefined();
});

test("a machine without modules has an empty index", () => {
  expect(parseModuleIndex({}).findByAlias("pci:v00001AF4d00001041")).toEqual([]);
});
