/**
 * Builds what a boot needs. Each step reports what it built or reused, with the time.
 * `npm start`, `dutboot boot` and the tests share these steps and their results.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildInitrd } from "../initrd/build-initrd.ts";
import { buildKernel } from "../initrd/build-kernel.ts";
import { ensureBrowserRoot } from "../qemu/browser-root.ts";
import { ensureBusyboxImage } from "../qemu/test-image/busybox-image.ts";
import { ensureTestArtifact, type TestArtifact } from "../qemu/test-image/test-artifact.ts";
import { ensureTestImage } from "../qemu/test-image/test-image.ts";
import { ensureToolsRoot, type ToolsRoot } from "../qemu/tools-root.ts";
import { formatSeconds } from "./boot-report.ts";

const OUT = fileURLToPath(new URL("../out", import.meta.url));
const ARCH = "x86_64";
/** Debian's kernel for virtual machines: virtio is built in, and fewer drivers start than in the general kernel. */
const KERNEL_PACKAGE = "linux-image-cloud-amd64";

export interface BootFiles {
  kernel: string;
  /** The agent's image. */
  initrd: string;
  /** The archive with the kernel's modules. */
  modules: string;
}

export interface FarmGoods {
  /** OCI layout of the test job's image. */
  image: string;
  /** OCI layout of the busybox image. */
  tinyImage: string;
  artifact: TestArtifact;
}

const said = new Set<string>();

/** Prints a line with the time since the process started. Equal lines are printed once. */
export function say(line: string): void {
  if (said.has(line)) return;
  said.add(line);
  console.log(`[${formatSeconds(performance.now()).padStart(7)}] ${line}`);
}

const logTo = (signal?: AbortSignal) => ({ log: say, signal });

export const prepareToolsRoot = (signal?: AbortSignal): Promise<ToolsRoot> => ensureToolsRoot(logTo(signal));

/** Builds the virtual DUT's kernel and its modules archive. */
export async function prepareKernel(): Promise<Pick<BootFiles, "kernel" | "modules">> {
  const startedMs = performance.now();
  const outDir = join(OUT, "kernel", ARCH);
  const built = await buildKernel({ arch: ARCH, outDir, kernelPackage: KERNEL_PACKAGE });
  const how = built.reused ? "reused" : `built in ${formatSeconds(performance.now() - startedMs)}`;
  say(`kernel: ${built.kernelVersion} with ${built.moduleCount} modules ${how}`);
  return { kernel: built.kernelImage, modules: built.modulesArchive };
}

/** Builds kernel, modules and the agent's initrd. */
export async function prepareBootFiles(): Promise<BootFiles> {
  const [kernel, initrd] = await Promise.all([prepareKernel(), prepareInitrd()]);
  return { ...kernel, initrd };
}

async function prepareInitrd(): Promise<string> {
  const startedMs = performance.now();
  const { image, reused, sizeBytes } = await buildInitrd({ arch: ARCH, outDir: join(OUT, "initrd", ARCH) });
  const how = reused ? "reused" : `built in ${formatSeconds(performance.now() - startedMs)}`;
  say(`initrd: ${(sizeBytes / 1024 / 1024).toFixed(1)} MiB ${how}`);
  return image;
}

/** Builds the images and the artifact of the farm in parallel: most of the time is spent on the network. */
export async function prepareFarmGoods(signal?: AbortSignal): Promise<FarmGoods> {
  const [image, tinyImage, artifact] = await Promise.all([
    ensureTestImage(logTo(signal)),
    prepareToolsRoot(signal).then((toolsRoot) => ensureBusyboxImage(toolsRoot, logTo(signal))),
    ensureTestArtifact({ signal }),
  ]);
  return { image, tinyImage, artifact };
}

/** Builds what the integration tests need. */
export async function prepareFarmTests(): Promise<void> {
  await Promise.all([prepareToolsRoot(), ensureTestImage(logTo()), ensureBrowserRoot(logTo())]);
}

/** Builds what the boot tests need. */
export async function prepareBootTests(): Promise<void> {
  await Promise.all([prepareBootFiles(), prepareFarmGoods()]);
}
