/**
 * Which folders of the host a program in the tools root must be shown besides what it sees anyway.
 * The root has its own /usr, /etc, /var, /boot and /run (enter-tools-root.sh); files of a run may lie there on the host.
 */
import { dirname } from "node:path";

const HIDDEN = /^\/(bin|boot|etc|lib[^/]*|run|sbin|usr|var)(\/|$)/;

/** Folders by the place they are seen at, which is their own, for absolute paths without symbolic links. */
export function planHostBinds(paths: readonly string[]): Record<string, string> {
  const folders = paths.filter((path) => HIDDEN.test(path)).map((path) => dirname(path));
  return Object.fromEntries([...new Set(folders)].sort().map((folder) => [folder, folder]));
}
