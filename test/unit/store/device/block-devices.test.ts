import { expect, it } from "vitest";
import { parseBlkid } from "../../../../agent/store/device/block-devices.ts";

it("reads what busybox's and util-linux's blkid print", () => {
  const output = [
    '/dev/vda: LABEL="DUTBOOT_CACHE" UUID="1f2e" BLOCK_SIZE="4096" TYPE="ext4"',
    '/dev/vdb1: UUID="AB-CD" TYPE="vfat" PARTLABEL="EFI System"',
    "noise",
    "",
  ].join("\n");
  expect(parseBlkid(output)).toEqual(
    new Map([
      ["/dev/vda", { LABEL: "DUTBOOT_CACHE", UUID: "1f2e", BLOCK_SIZE: "4096", TYPE: "ext4" }],
      ["/dev/vdb1", { UUID: "AB-CD", TYPE: "vfat", PARTLABEL: "EFI System" }],
    ]),
  );
});
