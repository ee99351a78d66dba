import { describe, expect, it } from "vitest";
import { isSelected, selectModules } from "../../../initrd/module-selection.ts";

describe("the modules of a DUT", () => {
  it.each([
    "drivers/net/virtio_net",
    "drivers/net/ethernet/realtek/r8169",
    "drivers/net/usb/r8152",
    "drivers/nvme/host/nvme",
    "drivers/watchdog/i6300esb",
    "fs/overlayfs/overlay",
    "fs/erofs/erofs",
    "drivers/char/virtio_console",
    "drivers/firmware/qemu_fw_cfg",
  ])("have %s", (path) => {
    expect(isSelected(path, "x86_64")).toBe(true);
    expect(isSelected(path, "arm64")).toBe(true);
  });

  it.each([
    "drivers/gpu/drm/i915/i915",
    "sound/core/snd",
    "drivers/net/ethernet/mellanox/mlx5/core/mlx5_core",
  ])("do not have %s for its own sake", (path) => {
    expect(isSelected(path, "x86_64")).toBe(false);
  });

  it("include clocks and pins only for boards that need them", () => {
    expect(isSelected("drivers/clk/meson/axg", "arm64")).toBe(true);
    expect(isSelected("drivers/clk/meson/axg", "x86_64")).toBe(false);
  });

  it("include all hard and soft dependencies", () => {
    const dep = [
      "kernel/fs/erofs/erofs.ko.xz: kernel/fs/netfs/netfs.ko.xz kernel/lib/a.ko.xz",
      "kernel/fs/netfs/netfs.ko.xz: kernel/lib/a.ko.xz",
      "kernel/lib/a.ko.xz:",
      "kernel/lib/b-soft.ko.xz: kernel/lib/c.ko.xz",
      "kernel/lib/c.ko.xz:",
      "kernel/sound/snd.ko.xz:",
    ].join("\n");
    const softdep = "# made by depmod\nsoftdep erofs pre: b_soft post: no-such-module\n";
    expect(selectModules(dep, softdep, "x86_64")).toEqual([
      "kernel/fs/erofs/erofs.ko.xz",
      "kernel/fs/netfs/netfs.ko.xz",
      "kernel/lib/a.ko.xz",
      "kernel/lib/b-soft.ko.xz",
      "kernel/lib/c.ko.xz",
    ]);
  });
});
