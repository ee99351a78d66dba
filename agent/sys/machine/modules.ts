/**
 * Loads kernel modules with Debian's kmod: for the devices in sysfs that have a modalias, by name, and from files. kmod resolves
 * aliases, dependencies and soft dependencies, and reads blacklists and parameters from the kernel command line (modprobe(8)).
 * Failures are logged and never end the boot.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { availableParallelism, release } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseCommandLine } from "../../job/syntax/command-line.ts";
import { MODULE_PASSES_MAX, MODULE_PROCESSES_MAX, MODULE_SETTLE_MS } from "../limits.ts";
import { readdirIfThere, readIfThere } from "../read-if-there.ts";
import type { SysLog } from "../sys-log.ts";

/** Why this kernel has no modules. */
export interface ModulesFault {
  code: "MODULES_MISSING" | "MODULES_FOREIGN";
  /** Completes "Cannot …: …". */
  reason: string;
}

export interface ModuleLoader {
  /** Absent where the kernel's modules are there. */
  readonly fault?: ModulesFault;
  /** Repeats until no new device appears, because a bus driver adds devices. */
  loadForDevices(): Promise<void>;
  /** Loads modules in this order; true when all of them are loaded or built in. */
  load(...names: string[]): Promise<boolean>;
  /** A module from a farm's archive: a path, or a name in /usr_mods. Its dependencies must be loaded already. */
  loadFile(path: string): Promise<boolean>;
}

/** The directory that boot2container's users put their modules in. */
const MODULE_FILES = "/usr_mods";

export interface ModuleLoaderOptions {
  log: SysLog;
  modulesPath?: string;
  sysfsPath?: string;
  procPath?: string;
  moduleFilesPath?: string;
  /** Directory of kmod's programs, default: found by PATH. */
  toolsPath?: string;
  settleMs?: number;
}

export function createModuleLoader(options: ModuleLoaderOptions): ModuleLoader {
  const { log, modulesPath = `/lib/modules/${release()}`, sysfsPath = "/sys", procPath = "/proc" } = options;
  const seen = new Set<string>();
  let index: Promise<boolean> | undefined;

  /** Runs one of kmod's programs and logs its errors; false when it failed. */
  const run = (tool: string, ...args: string[]) =>
    new Promise<boolean>((done) => {
      execFile(join(options.toolsPath ?? "", tool), args, (error, _stdout, stderr) => {
        if (typeof error?.code === "string") log.warn(`modules: cannot run ${tool}: ${error.message}`);
        for (const line of stderr.split("\n")) if (line !== "") logError(line, log);
        done(!error);
      });
    });

  // Before depmod makes an index of what is there.
  const fault = findFault(modulesPath);

  /** Whether there are modules. An archive that has only the text index gets the binary one, which kmod needs. */
  const prepareIndex = async (): Promise<boolean> => {
    if (!existsSync(modulesPath)) {
      // A kernel may have all of its drivers built in.
      const level = fault?.code === "MODULES_FOREIGN" ? "warn" : "info";
      log[level](`modules: ${fault?.reason}: only built-in drivers are available`);
      return false;
    }
    if (existsSync(join(modulesPath, "modules.dep.bin"))) return true;
    log.info(`modules: "${modulesPath}" has no modules.dep.bin, running depmod`);
    return run("depmod", release());
  };
  const hasModules = () => {
    index ??= prepareIndex();
    return index;
  };

  const isLoaded = (name: string) => existsSync(join(sysfsPath, "module", normalise(name)));

  const loadPass = async (): Promise<boolean> => {
    const modaliases = listModaliases(sysfsPath).filter((modalias) => !seen.has(modalias));
    for (const modalias of modaliases) seen.add(modalias);
    if (modaliases.length === 0) return false;
    // Side by side, because a driver's probe may wait for its device.
    const count = Math.min(MODULE_PROCESSES_MAX, availableParallelism(), modaliases.length);
    const shares = Array.from({ length: count }, (_, at) => modaliases.filter((_, i) => i % count === at));
    await Promise.all(shares.map((share) => run("modprobe", "-ab", "--", ...share)));
    return true;
  };

  return {
    fault,
    async loadForDevices() {
      if (!(await hasModules())) return;
      const startedAt = performance.now();
      const before = new Set(listLoaded(procPath));
      for (let pass = 0; pass < MODULE_PASSES_MAX && (await loadPass()); pass++) {
        await sleep(options.settleMs ?? MODULE_SETTLE_MS);
      }
      const names = listLoaded(procPath).filter((name) => !before.has(name));
      if (names.length === 0) return;
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      log.info(
        `modules: ${names.length} loaded in ${seconds} s for ${seen.size} kinds of devices: ${names.join(" ")}`,
      );
    },
    async load(...names) {
      const missing = names.filter((name) => !isLoaded(name));
      return missing.length === 0 || ((await hasModules()) && run("modprobe", "-a", "--", ...missing));
    },
    async loadFile(path) {
      if (isLoaded(basename(path).replace(/\.ko(\.\w+)?$/, ""))) return true;
      const isInserted = await run("insmod", resolve(options.moduleFilesPath ?? MODULE_FILES, path));
      if (isInserted) log.info(`modules: ${path} loaded`);
      return isInserted;
    },
  };
}

function findFault(modulesPath: string): ModulesFault | undefined {
  if (["modules.dep.bin", "modules.dep"].some((name) => existsSync(join(modulesPath, name))))
    return undefined;
  if (existsSync(modulesPath))
    return {
      code: "MODULES_MISSING",
      reason: `"${modulesPath}" has no modules.dep, as if the archive was cut`,
    };
  const others = readdirIfThere(dirname(modulesPath)).map((name) => `"${name}"`);
  if (others.length === 0) return { code: "MODULES_MISSING", reason: `"${modulesPath}" is missing` };
  const reason = `"${modulesPath}" is missing, the modules are of another kernel, ${others.join(", ")}`;
  return { code: "MODULES_FOREIGN", reason };
}

/** Whether the kernel command line has a parameter for this module: `nvme_core.multipath=N`. */
export function namesModule(line: string, module: string): boolean {
  const { parameters } = parseCommandLine(line.trimEnd());
  return parameters.some(({ name }) => normalise(name).startsWith(`${normalise(module)}.`));
}

const normalise = (name: string) => name.replaceAll("-", "_");

/** `modprobe: ERROR: could not insert 'NAME': REASON`, `modprobe: WARNING: Module NAME not found in directory …` */
function logError(line: string, log: SysLog): void {
  const missing = /: Module (\S+) not found in/.exec(line)?.[1];
  if (missing !== undefined) {
    // An alias: most devices have a built-in driver or none.
    if (!missing.includes(":")) log.warn(`modules: ${missing} is not in this kernel`);
    return;
  }
  const [, name, reason] = /(?:insert|load) (?:module )?'?([^\s']+?)'?: (.*)$/.exec(line) ?? [];
  if (name === undefined) log.warn(`modules: ${line}`);
  // The driver looked for its device and found none.
  else if (reason === "No such device") log.debug(`modules: ${name} found no device`);
  else log.warn(`modules: ${name} cannot be loaded: ${reason}`);
}

/** In the order in which they were loaded: the kernel lists the newest first. */
function listLoaded(procPath: string): string[] {
  const rows = readIfThere(join(procPath, "modules")).split("\n");
  return rows.map((row) => row.split(" ")[0]!).reverse();
}

/** Each modalias once. A listing by bus takes an eighth of the time of a walk through /sys/devices. */
function listModaliases(sysfsPath: string): string[] {
  const devices = readdirIfThere(join(sysfsPath, "bus")).flatMap((bus) => {
    const path = join(sysfsPath, "bus", bus, "devices");
    return readdirIfThere(path).map((device) => join(path, device));
  });
  // These two are on no bus.
  const others = [join(sysfsPath, "devices/system/cpu"), join(sysfsPath, "class/dmi/id")];
  const modaliases = [...devices, ...others].map((device) => readIfThere(join(device, "modalias")));
  return [...new Set(modaliases)].filter((modalias) => modalias !== "");
}
