/**
 * Signs that something changed below a directory: one inotify watch for each directory. Only signs: what changed is found by
 * looking, so that a sign that the kernel dropped costs time and no file.
 */
import { type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import { VOLUME_WATCHES_MAX } from "./limits.ts";

export interface TreeWatch {
  /** All directories there are now; whether any is watched for the first time, and so may hold what nobody saw come. */
  watchDirectories(keys: readonly string[]): { isNew: boolean };
  /** Why not every directory is watched. */
  readonly gap: string | undefined;
  close(): void;
}

export function createTreeWatch(
  rootPath: string,
  onChange: () => void,
  maxWatches = VOLUME_WATCHES_MAX,
): TreeWatch {
  const watchers = new Map<string, FSWatcher>();
  let gap: string | undefined;

  const forget = (key: string) => {
    watchers.get(key)?.close();
    watchers.delete(key);
  };
  const add = (key: string): boolean => {
    try {
      const watcher = watch(join(rootPath, key), { persistent: false }, onChange);
      watcher.on("error", (error: Error) => {
        gap ??= error.message;
        forget(key);
        onChange();
      });
      watchers.set(key, watcher);
      return true;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      // Gone since it was seen.
      if (code !== "ENOENT" && code !== "ENOTDIR") gap ??= message;
      return false;
    }
  };

  return {
    watchDirectories(keys) {
      const present = new Set(keys);
      for (const key of [...watchers.keys()]) if (!present.has(key)) forget(key);
      let isNew = false;
      for (const key of keys) {
        if (watchers.has(key)) continue;
        if (watchers.size >= maxWatches) gap ??= `more than ${maxWatches} directories`;
        else if (add(key)) isNew = true;
      }
      return { isNew };
    },
    get gap() {
      return gap;
    },
    close() {
      for (const key of [...watchers.keys()]) forget(key);
    },
  };
}
