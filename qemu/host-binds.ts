/**
 * Selects the host folders to bind into the tools root, besides those that are always visible.
 * The root has its own /usr, /etc, /var, /boot and /run (enter-tools-root.sh); a run may use files in the host's.
 */
import { dirname } from "node:path";

const HIDDEN = /^\/(bin|boot|etc|lib[^/]*|run|sbin|usr|var)(\/|$)/;

/** Maps each folder to itself. `paths` are absolute and without symbolic links. */
export function planHostBinds(paths: readonly string[]): Record<string, string> {
  const folders = paths.filter((path) => HIDDEN.test(path)).map((path) => dirname(path));
  return Object.fromEntries([...new Set(folders)].sort().map((folder) => [folder, folder]));
}
