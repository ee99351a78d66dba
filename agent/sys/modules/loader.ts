/**
 * Loads kernel modules: for every device in sysfs that names what would drive it, and by name.
 * A bus driver brings new devices, so devices are listed until nothing new is found; what cannot be loaded is told, never fatal.
 */
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isKernelError } from "../../kernel/errno.ts";
import { finitModule } from "../../kernel/machine.ts";
import { MODULE_PASSES_MAX, MODULE_SETTLE_MS } from "../limits.ts";
import type { SysLog } from "../sys-log.ts";
import { type ModuleEntry, type ModuleIndex, parseModuleIndex } from "./index.ts";
import { findModuleParameters } from "./parameters.ts";

export interface ModuleLoader {
  /** Looks at the devices until no new module is found; gives the names loaded by this call. */
  loadForDevices(): Promise<string[]>;
  /** True when the module is in the kernel afterwards, built in or loaded; false is told in the log. */
  load(name: string): Promise<boolean>;
  /** A module that a farm's own archive brought: a path, or a name below `/usr_mods`; what it needs must be loaded before. */
  loadFile(path: string): Promise<boolean>;
}

/** Where boot2container's users put theirs. */
const MODULE_FILES = "/usr_mods";

export interface ModuleLoaderOptions {
  log: SysLog;
  /** Where depmod's files and the modules are. */
  modulesPath?: string;
  sysfsPath?: string;
  moduleFilesPath?: string;
  /** The kernel's, with parameters of modules. */
  commandLinePath?: string;
  settleMs?: number;
}

export function createModuleLoader(options: ModuleLoaderOptions): ModuleLoader {
  const { log, modulesPath = `/lib/modules/${release()}`, sysfsPath = "/sys" } = options;
  const readLine = () => readIfThere(options.commandLinePath ?? "/proc/cmdline");
  const attempts = new Map<string, Promise<boolean>>();
  const loaded: string[] = [];
  const seen = new Set<string>();
  let index: ModuleIndex | undefined;

  const readIndex = (): ModuleIndex => {
    if (index) return index;
    if (!existsSync(modulesPath)) log.info(`modules: no "${modulesPath}", only built-in drivers are there`);
    const [alias, dep, softdep, builtin] = ["alias", "dep", "softdep", "builtin"].map((kind) => {
      const path = join(modulesPath, `modules.${kind}`);
      return existsSync(path) ? readFileSync(path, "utf8") : "";
    });
    index = parseModuleIndex({ alias: alias!, dep: dep!, softdep: softdep!, builtin: builtin! });
    return index;
  };

  // One attempt a module, shared by everybody who needs it; a cycle of soft dependencies ends at the attempt under way.
  const ensure = (name: string, path: readonly string[]): Promise<boolean> => {
    if (path.includes(name)) return Promise.resolve(true);
    let attempt = attempts.get(name);
    if (!attempt) {
      attempt = insert(name, [...path, name]);
      attempts.set(name, attempt);
    }
    return attempt;
  };

  const insert = async (name: string, path: readonly string[]): Promise<boolean> => {
    const entry = readIndex().find(name);
    if (!entry) return readIndex().isBuiltin(name);
    for (const need of entry.needs) await ensure(need, path);
    const done = await insertFile(entry);
    for (const wanted of entry.wantsAfter) await ensure(wanted, path);
    return done;
  };

  const insertFile = async ({ name, path }: Pick<ModuleEntry, "name" | "path">): Promise<boolean> => {
    const file = findFile(resolve(modulesPath, path));
    if (!file) {
      log.warn(`modules: ${name}: there is no file "${resolve(modulesPath, path)}"`);
      return false;
    }
    const fd = openSync(file, "r");
    try {
      await finitModule(fd, findModuleParameters(readLine(), name), { compressed: !file.endsWith(".ko") });
      loaded.push(name);
      return true;
    } catch (error) {
      if (isKernelError(error, "EEXIST")) return true;
      // A driver that looks at the machine and finds nothing for itself is no fault.
      if (isKernelError(error, "ENODEV")) log.debug(`modules: ${name} found no device`);
      else log.warn(`modules: ${name} cannot be loaded: ${(error as Error).message}`);
      return false;
    } finally {
      closeSync(fd);
    }
  };

  const loadPass = async (): Promise<boolean> => {
    const before = attempts.size;
    const fresh = listModaliases(sysfsPath).filter((modalias) => !seen.has(modalias));
    for (const modalias of fresh) seen.add(modalias);
    const names = new Set(fresh.flatMap((modalias) => readIndex().findByAlias(modalias)));
    await Promise.all([...names].map((name) => ensure(name, [])));
    return attempts.size > before;
  };

  return {
    async loadForDevices() {
      const startedAt = performance.now();
      const already = loaded.length;
      for (let pass = 0; pass < MODULE_PASSES_MAX && (await loadPass()); pass++) {
        // Buses answer in their own time; USB adapters that take longer are found while the network waits for them.
        await sleep(options.settleMs ?? MODULE_SETTLE_MS);
      }
      const names = loaded.slice(already);
      if (names.length > 0) {
        const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
        log.info(
          `modules: ${names.length} loaded in ${seconds} s for ${seen.size} kinds of devices: ${names.join(" ")}`,
        );
      }
      return names;
    },
    async load(name) {
      const normal = name.replaceAll("-", "_");
      if (existsSync(`/sys/module/${normal}`)) return true;
      const done = await ensure(normal, []);
      if (!done && !readIndex().find(normal)) log.warn(`modules: ${name} is not in this kernel`);
      return done;
    },
    async loadFile(path) {
      const done = await insertFile({
        name: path,
        path: resolve(options.moduleFilesPath ?? MODULE_FILES, path),
      });
      if (done) log.info(`modules: ${path} loaded`);
      return done;
    },
  };
}

/** The file as depmod named it, or with another compression: builders re-pack modules and keep the index. */
function findFile(path: string): string | undefined {
  const plain = path.replace(/\.(xz|zst|gz)$/, "");
  return [path, plain, `${plain}.zst`, `${plain}.xz`, `${plain}.gz`].find((candidate) =>
    existsSync(candidate),
  );
}

/** What every device calls itself, each once. By bus: an eighth of the time that a walk through /sys/devices takes. */
function listModaliases(sysfsPath: string): string[] {
  const devices = readdirIfThere(join(sysfsPath, "bus")).flatMap((bus) => {
    const path = join(sysfsPath, "bus", bus, "devices");
    return readdirIfThere(path).map((device) => join(path, device));
  });
  // The two that name themselves and are on no bus.
  const others = [join(sysfsPath, "devices/system/cpu"), join(sysfsPath, "class/dmi/id")];
  const modaliases = [...devices, ...others].map((device) => readIfThere(join(device, "modalias")));
  return [...new Set(modaliases)].filter((modalias) => modalias !== "");
}

// Devices go away while we look, and some attributes cannot be read in some states.
function readdirIfThere(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}
