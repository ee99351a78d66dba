/**
 * A Debian kernel package as what a boot loader needs: the kernel image, and an archive of modules for the DUT.
 * The archive is concatenated behind the agent's image, which does not depend on a kernel (docs/initrd.md).
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { copyFile, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ARCHITECTURES, type ArchitectureName } from "./architecture.ts";
import { fillCached } from "./build-cache.ts";
import { BuildError } from "./build-error.ts";
import type { CpioEntry } from "./cpio-writer.ts";
import { type DebianPackage, openDebianArchive, type Suite } from "./debian-archive.ts";
import { fileFromHost, toCpioEntries } from "./image-file.ts";
import { compressSegment, QUICK_LEVEL } from "./image-segment.ts";
import { selectModules } from "./module-selection.ts";
import { runCommand } from "./run-command.ts";

/** Written by depmod: kmod reads the .bin files, people and busybox the texts. */
const INDEX_FILES = [
  "modules.alias",
  "modules.alias.bin",
  "modules.builtin",
  "modules.builtin.alias.bin",
  "modules.builtin.bin",
  "modules.builtin.modinfo",
  "modules.dep",
  "modules.dep.bin",
  "modules.devname",
  "modules.order",
  "modules.softdep",
  "modules.symbols.bin",
];
/** Bump when the way the tree is made changes; the selection is part of the key by itself. */
const RECIPE = 1;

export interface BuildKernelOptions {
  arch: ArchitectureName;
  outDir: string;
  /** A package with a kernel, or the metapackage that depends on one: linux-image-amd64. */
  kernelPackage: string;
  /** Default: trixie. */
  suite?: Suite;
}

export interface BuiltKernel {
  kernelImage: string;
  modulesArchive: string;
  kernelVersion: string;
  /** Name and version of the package. */
  origin: string;
  moduleCount: number;
  rawBytes: number;
  sizeBytes: number;
  reused: boolean;
}

/** Writes vmlinuz-KVER and modules-KVER.cpio.zst to `outDir`. */
export async function buildKernel(options: BuildKernelOptions): Promise<BuiltKernel> {
  const { arch, outDir, kernelPackage, suite = "trixie" } = options;
  const archive = await openDebianArchive(suite, ARCHITECTURES[arch]);
  const name = (await archive.resolveDependency(kernelPackage, /^linux-image-\d/)) ?? kernelPackage;
  const { packages } = await archive.fetch([name]);
  const kernel = packages[0];
  if (!kernel) throw new BuildError(`Cannot find the package "${name}" in ${suite} for ${arch}`);

  const modulesFolder = findModulesFolder(kernel);
  const kernelVersion = readdirSync(modulesFolder)[0]!;
  const origin = `${kernel.name} ${kernel.version}`;
  const tree = await prepareModules(kernel, join(modulesFolder, kernelVersion), arch);
  const entries = collectEntries(tree.path, kernelVersion, origin);
  const segment = await compressSegment("modules", entries, QUICK_LEVEL);

  await mkdir(outDir, { recursive: true });
  const kernelImage = join(outDir, `vmlinuz-${kernelVersion}`);
  const modulesArchive = join(outDir, `modules-${kernelVersion}.cpio.zst`);
  await copyFile(join(kernel.root, "boot", `vmlinuz-${kernelVersion}`), `${kernelImage}.${process.pid}`);
  await rename(`${kernelImage}.${process.pid}`, kernelImage);
  await writeFile(`${modulesArchive}.${process.pid}`, segment.bytes);
  await rename(`${modulesArchive}.${process.pid}`, modulesArchive);
  return {
    kernelImage,
    modulesArchive,
    kernelVersion,
    origin,
    moduleCount: entries.filter(({ path }) => path.endsWith(".ko")).length,
    rawBytes: segment.rawBytes,
    sizeBytes: segment.bytes.length,
    reused: tree.reused && segment.reused,
  };
}

/** trixie's packages have /usr merged, bookworm's do not. */
function findModulesFolder({ root, name }: DebianPackage): string {
  const found = ["usr/lib/modules", "lib/modules"]
    .map((path) => join(root, path))
    .find((path) => existsSync(path));
  if (!found) throw new BuildError(`Cannot find kernel modules in the package "${name}"`);
  return found;
}

/** A folder with lib/modules/KVER: the chosen modules, uncompressed, and a fresh index of just those. */
async function prepareModules(kernel: DebianPackage, source: string, arch: ArchitectureName) {
  const selection = readFileSync(new URL("./module-selection.ts", import.meta.url), "utf8");
  const { name, version } = kernel;
  return fillCached(
    { kind: "modules", key: { name, version, arch, selection, recipe: RECIPE } },
    async (folder) => {
      const kernelVersion = source.split("/").at(-1)!;
      const full = await indexModules(join(folder, "full"), source, kernelVersion);
      const read = (file: string) => readFileSync(join(full, file), "utf8");
      const chosen = selectModules(read("modules.dep"), read("modules.softdep"), arch);

      const target = join(folder, "root/lib/modules", kernelVersion);
      for (const path of chosen) await copyModule(join(source, path), join(target, path));
      for (const file of ["modules.order", "modules.builtin", "modules.builtin.modinfo"]) {
        if (existsSync(join(source, file))) await copyFile(join(source, file), join(target, file));
      }
      await runCommand("depmod", ["-b", join(folder, "root"), kernelVersion]);
      await rm(join(folder, "full"), { recursive: true });
    },
  );
}

/** depmod's view of the whole package, written beside links to its files: bookworm's depmod has no folder for its output. */
async function indexModules(base: string, source: string, kernelVersion: string): Promise<string> {
  const modules = join(base, "lib/modules");
  await mkdir(modules, { recursive: true });
  await runCommand("cp", ["-rl", source, join(modules, kernelVersion)]);
  await runCommand("depmod", ["-b", base, kernelVersion]);
  return join(modules, kernelVersion);
}

/** Uncompressed: the archive as a whole is compressed better, and loading needs no decompressor. */
async function copyModule(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  if (from.endsWith(".ko")) return copyFile(from, to);
  await copyFile(from, to);
  const [program, ...args] = to.endsWith(".xz") ? ["xz", "-d", to] : ["zstd", "-dq", "--rm", to];
  await runCommand(program!, args);
}

function collectEntries(folder: string, kernelVersion: string, origin: string): CpioEntry[] {
  const source = join(folder, "root/lib/modules", kernelVersion);
  const names = readdirSync(source, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".ko") || INDEX_FILES.includes(name),
  );
  // Under /usr: an archive that brought a folder /lib would replace the agent's link of that name.
  return toCpioEntries(
    names.map((name) => fileFromHost(`usr/lib/modules/${kernelVersion}/${name}`, join(source, name), origin)),
  );
}
