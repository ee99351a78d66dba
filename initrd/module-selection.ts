/**
 * Which of a kernel's modules a DUT gets: what it takes to reach the network, the disks, the watchdog and a container.
 * Drivers of what is under test (GPU, sound, Wi-Fi) come with the job. What the chosen ones depend on follows by itself.
 */
import type { ArchitectureName } from "./architecture.ts";

/** Paths below kernel/, without .ko: a folder with a slash at its end, or one module. */
const COMMON: readonly string[] = [
  // network
  "drivers/net/ethernet/",
  "drivers/net/phy/",
  "drivers/net/mdio/",
  "drivers/net/pcs/",
  "drivers/net/usb/",
  "drivers/net/hyperv/",
  "drivers/net/vmxnet3/",
  "drivers/net/virtio_net",
  "drivers/net/xen-netfront",
  "drivers/net/netconsole",
  "drivers/net/dummy",
  "drivers/net/macvlan",
  "drivers/net/tun",
  "drivers/net/veth",
  "net/8021q/8021q",
  "net/bridge/bridge",
  "net/packet/",
  // disks
  "drivers/ata/",
  "drivers/block/brd",
  "drivers/block/loop",
  "drivers/block/nbd",
  "drivers/block/virtio_blk",
  "drivers/block/xen-blkfront",
  "drivers/block/zram/",
  "drivers/md/dm-mod",
  "drivers/md/dm-verity",
  "drivers/mmc/",
  "drivers/nvme/host/",
  "drivers/scsi/hv_storvsc",
  "drivers/scsi/scsi_mod",
  "drivers/scsi/sd_mod",
  "drivers/scsi/sr_mod",
  "drivers/scsi/virtio_scsi",
  "drivers/scsi/vmw_pvscsi",
  "drivers/ufs/",
  "drivers/usb/storage/",
  // buses, and what a virtual machine offers
  "drivers/hv/",
  "drivers/pci/",
  "drivers/usb/common/",
  "drivers/usb/core/",
  "drivers/usb/dwc3/",
  "drivers/usb/host/",
  "drivers/usb/roles/",
  "drivers/virtio/",
  "drivers/char/virtio_console",
  "drivers/char/hw_random/",
  "drivers/firmware/dmi-sysfs",
  "drivers/firmware/qemu_fw_cfg",
  "drivers/firmware/efi/",
  "drivers/usb/class/cdc-acm",
  "drivers/usb/serial/",
  "drivers/rtc/",
  "drivers/watchdog/",
  // file systems
  "fs/9p/",
  "fs/autofs/",
  "fs/binfmt_misc",
  "fs/cachefiles/",
  "fs/configfs/",
  "fs/efivarfs/",
  "fs/erofs/",
  "fs/ext4/",
  "fs/fat/",
  "fs/fscache/",
  "fs/fuse/",
  "fs/isofs/",
  "fs/lockd/",
  "fs/netfs/",
  "fs/nfs/",
  "fs/nfs_common/",
  "fs/nls/nls_ascii",
  "fs/nls/nls_cp437",
  "fs/nls/nls_iso8859-1",
  "fs/nls/nls_utf8",
  "fs/overlayfs/",
  "fs/pstore/",
  "fs/squashfs/",
  "net/9p/",
  "net/sunrpc/",
  // asked for by name at run time, so no dependency names them
  "arch/x86/crypto/crc32c-intel",
  "arch/x86/crypto/crc32-pclmul",
  "arch/x86/crypto/crct10dif-pclmul",
  "arch/arm64/crypto/",
  "crypto/crc32_generic",
  "crypto/crc32c_generic",
  "crypto/crct10dif_generic",
  "crypto/xxhash_generic",
  "crypto/lz4",
  "crypto/zstd",
  "lib/libcrc32c",
];

/** Boards of these need clocks, pins and power before they have a network: all of that is in modules there. */
const PLATFORM: readonly string[] = [
  "drivers/bus/",
  "drivers/clk/",
  "drivers/dma/",
  "drivers/extcon/",
  "drivers/firmware/",
  "drivers/gpio/",
  "drivers/hwspinlock/",
  "drivers/i2c/",
  "drivers/interconnect/",
  "drivers/iommu/",
  "drivers/mailbox/",
  "drivers/mfd/",
  "drivers/nvmem/",
  "drivers/phy/",
  "drivers/pinctrl/",
  "drivers/pmdomain/",
  "drivers/power/",
  "drivers/regulator/",
  "drivers/reset/",
  "drivers/soc/",
  "drivers/spi/",
  "drivers/tty/",
  "drivers/usb/chipidea/",
  "drivers/usb/dwc2/",
  "drivers/usb/musb/",
  "drivers/usb/phy/",
  "drivers/usb/typec/",
];

/** Adapters of data centres and clouds, and what takes room without helping a test: half of the weight. */
const LEFT_OUT: readonly string[] = [
  "drivers/infiniband/",
  "drivers/nvme/host/nvme-fc",
  "drivers/nvme/host/nvme-rdma",
  "fs/nfs/blocklayout/",
  "fs/nfs/flexfilelayout/",
  "net/sunrpc/xprtrdma/",
  "drivers/net/ethernet/8390/pcnet_cs",
  "drivers/net/ethernet/amazon/",
  "drivers/net/ethernet/broadcom/bnxt/",
  "drivers/net/ethernet/google/",
  "drivers/net/ethernet/intel/iavf/",
  "drivers/net/ethernet/intel/ice/",
  "drivers/net/ethernet/intel/idpf/",
  "drivers/net/ethernet/intel/i40e/",
  "drivers/net/ethernet/microsoft/",
  "drivers/net/ethernet/brocade/",
  "drivers/net/ethernet/cavium/",
  "drivers/net/ethernet/chelsio/",
  "drivers/net/ethernet/cisco/",
  "drivers/net/ethernet/emulex/",
  "drivers/net/ethernet/fungible/",
  "drivers/net/ethernet/huawei/",
  "drivers/net/ethernet/marvell/octeon",
  "drivers/net/ethernet/marvell/prestera/",
  "drivers/net/ethernet/mellanox/",
  "drivers/net/ethernet/netronome/",
  "drivers/net/ethernet/pensando/",
  "drivers/net/ethernet/qlogic/",
  "drivers/net/ethernet/sfc/",
  "drivers/net/ethernet/broadcom/bnx2x/",
  "drivers/net/usb/hso",
  "drivers/pci/endpoint/",
  "drivers/mmc/core/mmc_test",
];

const SELECTED: Readonly<Record<ArchitectureName, readonly string[]>> = {
  x86_64: COMMON,
  arm64: [...COMMON, ...PLATFORM],
};

/** True for a module the DUT gets for its own sake. `path` is below kernel/, without .ko and compression. */
export function isSelected(path: string, arch: ArchitectureName): boolean {
  const matches = (rule: string) => (rule.endsWith("/") ? path.startsWith(rule) : path === rule);
  return SELECTED[arch].some(matches) && !LEFT_OUT.some((rule) => path.startsWith(rule));
}

/** `kernel/drivers/net/veth.ko.xz` → `drivers/net/veth`. */
export function bareModulePath(path: string): string {
  return path.replace(/^kernel\//, "").replace(/\.ko(\.(xz|zst|gz))?$/, "");
}

/** The selected modules and all they need, out of the text of modules.dep; sorted paths as they stand there. */
export function selectModules(modulesDep: string, modulesSoftdep: string, arch: ArchitectureName): string[] {
  const needs = new Map<string, string[]>();
  for (const line of modulesDep.split("\n")) {
    const [path, rest] = line.split(":");
    if (path && rest !== undefined) needs.set(path, rest.split(" ").filter(Boolean));
  }
  const byName = new Map([...needs.keys()].map((path) => [moduleName(path), path]));
  const soft = parseSoftDependencies(modulesSoftdep);
  const queue = [...needs.keys()].filter((path) => isSelected(bareModulePath(path), arch));
  const chosen = new Set<string>();
  for (let path = queue.pop(); path; path = queue.pop()) {
    if (chosen.has(path)) continue;
    chosen.add(path);
    const wanted = (soft.get(moduleName(path)) ?? []).flatMap((name) => byName.get(name) ?? []);
    queue.push(...(needs.get(path) ?? []), ...wanted);
  }
  return [...chosen].sort();
}

function moduleName(path: string): string {
  return bareModulePath(path).split("/").at(-1)!.replaceAll("-", "_");
}

/** `softdep ext4 pre: crc32c` lines (modprobe.d(5)); a name may also be an alias, which is then nobody's path. */
function parseSoftDependencies(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [word, name, ...rest] = line.split(/\s+/);
    if (word !== "softdep" || !name) continue;
    const names = rest.filter((item) => !item.endsWith(":")).map((item) => item.replaceAll("-", "_"));
    const own = name.replaceAll("-", "_");
    found.set(own, [...(found.get(own) ?? []), ...names]);
  }
  return found;
}
