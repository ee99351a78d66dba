/**
 * Parameters of modules on the kernel command line: `nvme_core.multipath=N`. The kernel itself reads them for what is built in
 * alone; for a module its loader has to (modprobe(8)).
 */
import { parseCommandLine } from "../../job/syntax/command-line.ts";

/** As the kernel takes them with the module; `-` and `_` are the same in names. */
export function findModuleParameters(line: string, moduleName: string): string {
  const { parameters } = parseCommandLine(line.trimEnd());
  const found = parameters.flatMap(({ name, value }) => {
    const dot = name.indexOf(".");
    if (dot === -1 || normalise(name.slice(0, dot)) !== normalise(moduleName)) return [];
    const parameter = name.slice(dot + 1);
    if (value === undefined) return [parameter];
    return [`${parameter}=${/\s/.test(value) ? `"${value}"` : value}`];
  });
  return found.join(" ");
}

/** Whether the line says anything to a module. */
export function namesModule(line: string, moduleName: string): boolean {
  return findModuleParameters(line, moduleName) !== "";
}

const normalise = (name: string) => name.replaceAll("-", "_");
