import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readRuntimeInfo } from "../../../../agent/sys/machine/resource-samples.ts";
import { createTemporaryFolder } from "../../../temporary-folder.ts";

function makeMachine(files: Record<string, string>): { procPath: string; sysfsPath: string } {
  const folder = createTemporaryFolder("machine");
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return { procPath: join(folder, "proc"), sysfsPath: join(folder, "sys") };
}

describe("readRuntimeInfo", () => {
  it("names the CPU and every disk with something in it", () => {
    const info = readRuntimeInfo(
      "dutboot 1",
      makeMachine({
        "proc/cpuinfo": "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n",
        "sys/block/vda/size": "2048\n",
        "sys/block/loop0/size": "0\n",
        "sys/block/ram0/size": "8192\n",
      }),
    );
    expect(info).toMatchObject({ cpu: "Some CPU @ 2 GHz", disks: [{ name: "vda", sizeBytes: 1_048_576 }] });
  });

  it("takes the board's name where no CPU is named", () => {
    const info = readRuntimeInfo(
      "dutboot 1",
      makeMachine({
        "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 48.00\n",
        "sys/firmware/devicetree/base/model": "Some Board\0",
      }),
    );
    expect(info).toMatchObject({ cpu: "Some Board", disks: [] });
  });
});
