/**
 * Single files of NFS servers: the directory that a file lies in is mounted read-only for as long as a file of it is open.
 * What is a link there is followed inside the mount and never out of it.
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
  /** Mount points are made in it. */
  stateDir: string;
  /** Mounts read-only. */
  mount(place: NfsExport, target: string, options: { signal?: AbortSignal }): Promise<void>;
}

interface Mounted {
  users: number;
  path: Promise<string>;
}

export function createNfsFiles({ stateDir, mount }: NfsFilesOptions): NfsFiles {
  const mounted = new Map<string, Mounted>();
  let nextNumber = 0;

  const mountDirectory = async (place: NfsExport, options: { signal?: AbortSignal }): Promise<string> => {
    const target = join(stateDir, String(nextNumber++));
    mkdirSync(target, { recursive: true, mode: 0o700 });
    await mount(place, target, options);
    return target;
  };

  return {
    async open(url, options = {}) {
      const file = parseNfsUrl(url);
      const place = { ...file, path: posix.dirname(file.path) };
      const key = JSON.stringify(place);
      const entry = mounted.get(key) ?? { users: 0, path: mountDirectory(place, options) };
      mounted.set(key, entry);
      entry.users += 1;
      const release = (path?: string) => {
        entry.users -= 1;
        if (entry.users > 0) return;
        mounted.delete(key);
        // Lazily: a read that hangs must not keep us.
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
