/**
 * `dutboot build`: builds the agent's initrd and, for a named kernel, the kernel image and an archive of its modules.
 * Prints the size of each part and the paths of the files.
 */
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { ARCHITECTURE_NAMES, type ArchitectureName } from "../initrd/architecture.ts";
import { BuildError } from "../initrd/build-error.ts";
import { type BuiltInitrd, buildInitrd, IMAGE_MAX_BYTES } from "../initrd/build-initrd.ts";
import { type BuiltKernel, buildKernel } from "../initrd/build-kernel.ts";
import { SUITES, type Suite } from "../initrd/debian-archive.ts";
import { type Command, UsageError } from "./command.ts";

const OUT = fileURLToPath(new URL("../out/initrd", import.meta.url));
const MIB = 1024 * 1024;
const EXIT_CODE_FAILED = 1;

export const buildCommand: Command = {
  name: "build",
  summary: "Build the initrd of the agent, and the modules archive of a kernel",
  options: {
    arch: {
      type: "string",
      value: ARCHITECTURE_NAMES.join("|"),
      help: "The DUT's architecture (default: x86_64)",
    },
    out: { type: "string", value: "DIR", help: "Output folder (default: out/initrd/ARCH)" },
    "kernel-package": {
      type: "string",
      multiple: true,
      value: "NAME",
      help: "A Debian kernel package: also writes its image and modules archive",
    },
    suite: {
      type: "string",
      value: SUITES.join("|"),
      help: "The Debian release of the kernel (default: trixie)",
    },
  },
  examples: [
    "npx dutboot build",
    "npx dutboot build --arch arm64 --out /srv/tftp/arm64",
    "npx dutboot build --kernel-package linux-image-amd64",
    "npx dutboot build --kernel-package linux-image-cloud-amd64 --suite bookworm",
  ],
  async run(input) {
    const arch = parseChoice("arch", input.text("arch") ?? "x86_64", ARCHITECTURE_NAMES);
    const suite = parseChoice("suite", input.text("suite") ?? "trixie", SUITES);
    const outDir = input.text("out") ?? join(OUT, arch);
    try {
      await build(arch, suite, outDir, input.texts("kernel-package"));
      return 0;
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
      console.error(`dutboot: ${error.message}`);
      return EXIT_CODE_FAILED;
    }
  },
};

async function build(
  arch: ArchitectureName,
  suite: Suite,
  outDir: string,
  kernelPackages: readonly string[],
) {
  const startedMs = performance.now();
  const onProgress = (line: string) => console.log(`build: ${line}`);
  console.log(formatInitrd(await buildInitrd({ arch, outDir, onProgress })));
  for (const kernelPackage of kernelPackages) {
    onProgress(`kernel ${kernelPackage}`);
    console.log(formatKernel(await buildKernel({ arch, outDir, kernelPackage, suite })));
  }
  console.log(`build: done in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
}

function formatInitrd({ image, sizeBytes, parts }: BuiltInitrd): string {
  const rows = parts.map(
    ({ name, rawBytes, sizeBytes: size, reused }) => [name, rawBytes, size, reused] as const,
  );
  const rawTotal = parts.reduce((sum, { rawBytes }) => sum + rawBytes, 0);
  const row = (name: string, raw: number, size: number, note: string) =>
    `  ${name.padEnd(10)}${formatMiB(raw)}${formatMiB(size)}  ${note}`.trimEnd();
  return [
    `  ${"part".padEnd(10)}${"unpacked".padStart(12)}${"in image".padStart(12)}`,
    ...rows.map(([name, raw, size, reused]) => row(name, raw, size, reused ? "reused" : "made")),
    row("total", rawTotal, sizeBytes, `limit ${IMAGE_MAX_BYTES / MIB} MiB`),
    `build: ${showPath(image)}`,
  ].join("\n");
}

function formatKernel(kernel: BuiltKernel): string {
  return [
    `  ${kernel.origin}: ${kernel.moduleCount} modules,${formatMiB(kernel.rawBytes)} unpacked,${formatMiB(kernel.sizeBytes)} in the archive`,
    `build: ${showPath(kernel.kernelImage)}`,
    `build: ${showPath(kernel.modulesArchive)}`,
  ].join("\n");
}

function formatMiB(bytes: number): string {
  return `${(bytes / MIB).toFixed(2)} MiB`.padStart(12);
}

function showPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith("..") ? path : short;
}

function parseChoice<Name extends string>(option: string, text: string, names: readonly Name[]): Name {
  const found = names.find((name) => name === text);
  if (!found)
    throw new UsageError(`Cannot use --${option} "${text}": one of ${names.join(", ")} is expected`);
  return found;
}
