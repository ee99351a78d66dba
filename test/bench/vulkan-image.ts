/**
 * The large image: Debian trixie with Mesa's Vulkan drivers and vulkan-tools, as mmdebstrap makes it: some 450 MB.
 * In the second version one package was rebuilt: each of its programs and libraries has other code, and dpkg's lists name it.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { runMmdebstrap } from "../../qemu/mmdebstrap.ts";
import { runProcess } from "../../qemu/run-process.ts";
import type { BenchImage } from "./bench-image.ts";
import { rebuildPackage } from "./rebuild-package.ts";

const RELEASE = "trixie";
const PACKAGES = [
  ...["mesa-vulkan-drivers", "vulkan-tools", "vulkan-validationlayers"],
  ...["mesa-utils", "spirv-tools", "python3"],
];
const CHANGED_PACKAGE = "util-linux";
/** As in the test image: the same packages give the same bytes. */
const SOURCE_DATE_EPOCH = 1_760_000_000;
/** Files that depend on the machine and the time, not on the packages. */
const LEFT_OUT = ["var/cache/*", "var/log/*", "var/lib/apt/*", "etc/apt/*", "dev/*", "tmp/*", "run/*"];

export const vulkanImage: BenchImage = {
  name: "vulkan",
  summary: `Debian ${RELEASE} with Mesa's Vulkan drivers and tools`,
  recipe: [
    RELEASE,
    PACKAGES,
    CHANGED_PACKAGE,
    LEFT_OUT,
    process.arch,
    await readFile(join(import.meta.dirname, "rebuild-package.ts"), "utf8"),
  ],
  async makeTars(folder, { signal }) {
    const root = join(folder, "root");
    await runMmdebstrap({
      release: RELEASE,
      options: ["--variant=essential", `--include=${PACKAGES.join(",")}`],
      target: root,
      env: {
        ...process.env,
        SOURCE_DATE_EPOCH: String(SOURCE_DATE_EPOCH),
        DEBIAN_FRONTEND: "noninteractive",
      },
      signal,
    });
    const first = join(folder, "first.tar");
    await writeTar(root, first, signal);
    const { files, bytes } = await rebuildPackage(root, CHANGED_PACKAGE);
    const second = join(folder, "second.tar");
    await writeTar(root, second, signal);
    const megabytes = (bytes / 1e6).toFixed(1);
    return { first, second, change: `${CHANGED_PACKAGE} rebuilt: ${files} files, ${megabytes} MB` };
  },
};

async function writeTar(root: string, target: string, signal?: AbortSignal): Promise<void> {
  const words = [
    ...["tar", "--create", "--file", target, "--format=pax", "--sort=name", "--numeric-owner"],
    "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
    ...["--xattrs", "--xattrs-include=*", "--clamp-mtime", `--mtime=@${SOURCE_DATE_EPOCH}`],
    ...["--anchored", "--wildcards", ...LEFT_OUT.map((pattern) => `--exclude=./${pattern}`)],
    ...["--directory", root, "."],
  ];
  await runProcess(words, { signal });
}
