/**
 * The keyboard layout of the machine's console, loaded by busybox's loadkmap from an initrd archive of the farm. Failures are logged
 * only, because tests do not depend on it.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { runTool } from "../run-tool.ts";
import type { SysLog } from "../sys-log.ts";

export interface KeymapOutcome {
  /** Absent for a missing keymap. */
  path?: string;
  isLoaded: boolean;
}

/** `name`: without the extension, `fr` for fr.kmap. */
export async function loadKeymap(
  name: string,
  {
    log,
    folder = "/usr/share/keymaps",
    busybox = "busybox",
  }: { log: SysLog; folder?: string; busybox?: string },
): Promise<KeymapOutcome> {
  const path = findKeymap(name, folder);
  if (path === undefined) {
    log.warn(`machine: no keymap "${name}.kmap" in ${folder}`);
    return { isLoaded: false };
  }
  try {
    // loadkmap reads only its standard input.
    await runTool([busybox, "sh", "-c", 'exec "$1" loadkmap <"$2"', "sh", busybox, path]);
    log.info(`machine: keymap ${path}`);
    return { path, isLoaded: true };
  } catch (error) {
    log.warn(`machine: the keymap ${path} cannot be loaded: ${(error as Error).message}`);
    return { path, isLoaded: false };
  }
}

function findKeymap(name: string, folder: string): string | undefined {
  if (!existsSync(folder)) return undefined;
  const entries = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  const found = entries.find((entry) => entry.split("/").at(-1) === `${name}.kmap`);
  return found === undefined ? undefined : join(folder, found);
}
