/** A kernel package prepared for a boot loader: the kernel image and a complete archive of modules. */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BuildError } from "../../../initrd/build-error.ts";
import { type BuiltKernel, buildKernel } from "../../../initrd/build-kernel.ts";
import { BUILD_TIMEOUT_MS, makeFolder } from "./build.ts";
import { type ImageEntry, readImage } from "./read-image.ts";

const KERNEL_PACKAGE = "linux-image-cloud-amd64";

let folder: string;
let kernel: BuiltKernel;
let entries: ImageEntry[];
let base: string;
const read = (name: string) => entries.find(({ path }) => path === `${base}/${name}`)!.content.toString();

beforeAll(async () => {
  folder = await makeFolder();
  kernel = await buildKernel({ arch: "x86_64", outDir: folder, kernelPackage: KERNEL_PACKAGE });
  entries = readImage(kernel.modulesArchive);
  base = `usr/lib/modules/${kernel.kernelVersion}`;
}, BUILD_TIMEOUT_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the modules archive", () => {
  it("has uncompressed modules and their dependencies", () => {
    const paths = new Set(entries.map(({ path }) => path));
    const lines = read("modules.dep").trim().split("\n");
    expect(lines).toHaveLength(kernel.moduleCount);
    for (const line of lines) {
      const [path, rest] = line.split(":");
      for (const needed of [path!, ...rest!.trim().split(" ").filter(Boolean)]) {
        expect(needed).toMatch(/\.ko$/);
        expect(paths).toContain(`${base}/${needed}`);
      }
    }
  });

  it.each(["overlay", "virtio_net", "erofs", "nfsv4", "nbd"])("has %s", (name) => {
    expect(read("modules.dep")).toMatch(new RegExp(`/${name}\\.ko:`));
  });

  it.each(["alias", "builtin", "dep", "symbols"])("has kmod's binary index modules.%s.bin", (kind) => {
    expect(entries.map(({ path }) => path)).toContain(`${base}/modules.${kind}.bin`);
  });

  it("lists which devices its modules support and what is built in", () => {
    expect(read("modules.alias")).toMatch(/^alias virtio:d00000001v\* virtio_net$/m);
    expect(read("modules.builtin")).toContain("virtio");
  });

  it("does not contain /lib, which is a link in the agent's image", () => {
    expect(entries.filter(({ path }) => !/^usr(\/|$)/.test(path))).toEqual([]);
  });
});

describe("the kernel", () => {
  it("is next to its modules", () => {
    expect(kernel.kernelImage).toBe(join(folder, `vmlinuz-${kernel.kernelVersion}`));
    // Linux, Documentation/arch/x86/boot.rst: the signature at 0x202.
    expect(readFileSync(kernel.kernelImage).toString("latin1", 0x202, 0x206)).toBe("HdrS");
  });

  it("is built once", async () => {
    const again = await buildKernel({ arch: "x86_64", outDir: folder, kernelPackage: KERNEL_PACKAGE });
    expect(again).toMatchObject({ reused: true, kernelVersion: kernel.kernelVersion });
  });

  it.each(["no-such-kernel", "busybox-static"])("is not found in %s", async (kernelPackage) => {
    const build = buildKernel({ arch: "x86_64", outDir: folder, kernelPackage });
    await expect(build).rejects.toThrow(BuildError);
  });
});
