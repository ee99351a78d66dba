/**
 * Opens single files on NFS servers. The file's directory is mounted read-only while one of its files is open; symlinks are
 * resolved inside the mount.
 */
import { closeSync, constants, mkdirSync, openSync } from "node:fs";
import { join, posix } from "node:path";
import { AgentError } from "../../errors.ts";
import type { NfsExport } from "../../job/job.ts";
import { parseNfsUrl } from "../../job/syntax/locations.ts";
import { isKernelError } from "../../kernel/errno.ts";
import { O_DIRECTORY, openInRoot } from "../../kernel/files.ts";
import { umount } from "../../kernel/mount.ts";

export interface NfsFiles {
  /** `url` is `nfs://SERVER[:PORT]/EXPORT/FILE`. Throws SOURCE_NOT_FOUND and what `mount` throws. */
  open(url: string, options?: { signal?: AbortSignal }): Promise<{ fd: number; close(): void }>;
}

export interface NfsFilesOptions {
  /** Directory of the mount points. */
  stateDir: string;
  /** Mounts read-only. */
  mount(location: NfsExport, target: string, options: { signal?: AbortSignal }): Promise<void>;
}

interface Mounted {
  users: number;
  path: Promise<string>;
}

export function createNfsFiles({ stateDir, mount }: NfsFilesOptions): NfsFiles {
  const mounted = new Map<string, Mounted>();
  let nextNumber = 0;

  const mountDirectory = async (location: NfsExport, options: { signal?: AbortSignal }): Promise<string> => {
    const target = join(stateDir, String(nextNumber++));
    mkdirSync(target, { recursive: true, mode: 0o700 });
    await mount(location, target, options);
    return target;
  };

  return {
    async open(url, options = {}) {
      const file = parseNfsUrl(url);
      const location = { ...file, path: posix.dirname(file.path) };
      const key = JSON.stringify(location);
      const entry = mounted.get(key) ?? { users: 0, path: mountDirectory(location, options) };
      mounted.set(key, entry);
      entry.users += 1;
      const release = (path?: string) => {
        entry.users -= 1;
        if (entry.users > 0) return;
        mounted.delete(key);
        // Lazily, because a read may hang.
        if (path !== undefined) umount(path, { lazy: true });
      };
      let path: string | undefined;
      try {
        path = await entry.path;
        const fd = openBelow(path, posix.basename(file.path), url);
        let isOpen = true;
        return {
          fd,
          close() {
            if (!isOpen) return;
            isOpen = false;
            closeSync(fd);
            release(path);
          },
        };
      } catch (error) {
        release(path);
        throw error;
      }
    },
  };
}

function openBelow(directory: string, name: string, url: string): number {
  const directoryFd = openSync(directory, O_DIRECTORY);
  try {
    return openInRoot(directoryFd, name, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (!isKernelError(error)) throw error;
    throw new AgentError("SOURCE_NOT_FOUND", `Cannot open "${url}": ${error.code}`, { cause: error });
  } finally {
    closeSync(directoryFd);
  }
}
