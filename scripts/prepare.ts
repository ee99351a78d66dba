/**
 * What a boot needs and how it is come by: each step says whether it was made or reused, and at which second.
 * `npm start`, `dutboot boot` and the tests share these steps, so whoever comes first makes things for all.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildInitrd } from "../initrd/build-initrd.ts";
import { ensureBusyboxImage } from "../qemu/test-image/busybox-image.ts";
import { ensureTestArtifact, type TestArtifact } from "../qemu/test-image/test-artifact.ts";
import { ensureTestImage } from "../qemu/test-image/test-image.ts";
import { ensureToolsRoot, type ToolsRoot } from "../qemu/tools-root.ts";
import { formatSeconds } from "./boot-report.ts";

const PROJECT_ROOT = fileURLToPath(new URL("..", import.meta.url));
const ARCH = "x86_64";

export interface BootFiles {
  kernel: string;
  /** The agent's image. */
  initrd: string;
  /** The kernel's modules, as a second archive. */
  modules: string;
}

export interface FarmGoods {
  toolsRoot: ToolsRoot;
  bootFiles: BootFiles;
  /** OCI layout of the test job's image. */
  image: string;
  artifact: TestArtifact;
}

/** Prints a line with the time since this process began. */
export function say(line: string): void {
  console.log(`[${formatSeconds(performance.now()).padStart(7)}] ${line}`);
}

const logTo = (signal?: AbortSignal) => ({ log: say, ...(signal ? { signal } : {}) });

export const prepareToolsRoot = (signal?: AbortSignal): Promise<ToolsRoot> => ensureToolsRoot(logTo(signal));

/** The virtual DUT's kernel with its modules, and the agent's initrd. */
export async function prepareBootFiles(): Promise<BootFiles> {
  const startedMs = performance.now();
  const { image, reused } = await buildInitrd({ arch: ARCH, outDir: join(PROJECT_ROOT, "out/initrd", ARCH) });
  say(`initrd: ${reused ? "reused" : `built in ${formatSeconds(performance.now() - startedMs)}`}`);
  return { kernel: "", initrd: image, modules: "" };
}

/** Everything the farm's test job needs, made side by side: most of it is waiting for the network. */
export async function prepareFarmGoods(signal?: AbortSignal): Promise<FarmGoods> {
  const [toolsRoot, bootFiles, image, artifact] = await Promise.all([
    prepareToolsRoot(signal),
    prepareBootFiles(),
    ensureTestImage(logTo(signal)),
    ensureTestArtifact(signal ? { signal } : {}),
  ]);
  return { toolsRoot, bootFiles, image, artifact };
}

/** What the boot tests find ready. */
export async function prepareBootTests(): Promise<void> {
  const { toolsRoot } = await prepareFarmGoods();
  await ensureBusyboxImage(toolsRoot, logTo());
}
