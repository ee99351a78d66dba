/**
 * Lists and opens the files of a volume without following symlinks or leaving it, while a test may change it.
 * The kernel resolves every path below the volume's directory (openat2).
 */
import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync, readdirSync } from "node:fs";
import { dirname } from "node:path";
import { setImmediate as yieldToOthers } from "node:timers/promises";
import { AgentError } from "../errors.ts";
import {
  isKernelError,
  mkdirat,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_PATH,
  openInRoot,
  pathOfDescriptor,
  unlinkat,
} from "../kernel/syscalls.ts";
import { TREE_MAX_DEPTH } from "../limits.ts";
import { PART_PREFIX } from "./object-bucket.ts";

export interface LocalFile {
  key: string;
  stats: BigIntStats;
}

export interface LocalFiles {
  files: Map<string, LocalFile>;
  /** Keys of all directories; "" is the volume itself. */
  directories: string[];
  /** Entries that cannot become objects, with the reason. */
  skipped: { name: string; why: string }[];
  /** Keys of incomplete downloads. */
  parts: string[];
}

/** Entries per turn of the event loop. */
const SLICE_ENTRIES = 500;
const IN_VOLUME = { noSymlinks: true };

/** Changes whenever the file changes. */
export function fingerprintOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

export class LocalTree {
  readonly #rootFd: number;

  constructor(dataPath: string) {
    this.#rootFd = openSync(dataPath, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  }

  close(): void {
    closeSync(this.#rootFd);
  }

  /** Throws when a directory cannot be read, because its files would seem to be deleted. */
  async scan({ signal }: { signal: AbortSignal }): Promise<LocalFiles> {
    const result: LocalFiles = { files: new Map(), directories: [], skipped: [], parts: [] };
    const waiting: { key: string; depth: number }[] = [{ key: "", depth: 0 }];
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      signal.throwIfAborted();
      for (const key of await this.#scanDirectory(next.key, result)) {
        if (next.depth < TREE_MAX_DEPTH) waiting.push({ key, depth: next.depth + 1 });
        else result.skipped.push({ name: key, why: "its path is too deep" });
      }
    }
    return result;
  }

  /** Returns its subdirectories. */
  async #scanDirectory(key: string, result: LocalFiles): Promise<string[]> {
    const directories: string[] = [];
    const fd = this.#openDirectory(key);
    if (fd === undefined) return directories;
    try {
      result.directories.push(key);
      const path = pathOfDescriptor(fd);
      let looked = 0;
      for (const bytes of readdirSync(path, { encoding: "buffer" })) {
        if (++looked % SLICE_ENTRIES === 0) await yieldToOthers();
        const name = bytes.toString();
        const entryKey = key === "" ? name : `${key}/${name}`;
        if (!Buffer.from(name).equals(bytes)) {
          result.skipped.push({ name: entryKey, why: "its name is not valid Unicode" });
          continue;
        }
        const stats = lstatSync(`${path}/${name}`, { bigint: true, throwIfNoEntry: false });
        if (!stats) continue;
        if (stats.isDirectory()) directories.push(entryKey);
        else if (!stats.isFile()) result.skipped.push({ name: entryKey, why: `it is a ${nameType(stats)}` });
        else if (name.startsWith(PART_PREFIX)) result.parts.push(entryKey);
        else result.files.set(entryKey, { key: entryKey, stats });
      }
    } finally {
      closeSync(fd);
    }
    return directories;
  }

  /** undefined where it is no longer a directory. */
  #openDirectory(key: string): number | undefined {
    try {
      return openInRoot(this.#rootFd, key === "" ? "." : key, O_DIRECTORY | O_NOFOLLOW, 0, IN_VOLUME);
    } catch (error) {
      if (key !== "" && isKernelError(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
      throw error;
    }
  }

  /** undefined where it is no longer a regular file. The caller closes the descriptor. */
  openFile(key: string): { fd: number; stats: BigIntStats } | undefined {
    const flags = constants.O_RDONLY | constants.O_NONBLOCK | O_NOFOLLOW;
    let fd: number;
    try {
      fd = openInRoot(this.#rootFd, key, flags, 0, IN_VOLUME);
    } catch (error) {
      if (isKernelError(error, "ENOENT", "ENOTDIR", "ELOOP", "ENXIO")) return undefined;
      throw error;
    }
    const stats = fstatSync(fd, { bigint: true });
    if (stats.isFile()) return { fd, stats };
    closeSync(fd);
    return undefined;
  }

  /** Creates missing directories, refuses symlinks; `use` gets the directory's descriptor. */
  async inDirectory<Result>(
    key: string,
    use: (directoryFd: number) => Result | Promise<Result>,
  ): Promise<Result> {
    const fd = this.#makeDirectory(key);
    try {
      return await use(fd);
    } finally {
      closeSync(fd);
    }
  }

  #makeDirectory(key: string): number {
    const names = key === "" || key === "." ? [] : key.split("/");
    let fd = openInRoot(this.#rootFd, ".", O_DIRECTORY, 0, IN_VOLUME);
    try {
      for (const name of names) {
        try {
          mkdirat(fd, name, 0o755);
        } catch (error) {
          if (!isKernelError(error, "EEXIST")) throw error;
        }
        const next = openInRoot(fd, name, O_DIRECTORY | O_NOFOLLOW, 0, IN_VOLUME);
        closeSync(fd);
        fd = next;
      }
      return fd;
    } catch (error) {
      closeSync(fd);
      if (!isKernelError(error, "ENOTDIR", "ELOOP")) throw error;
      throw new AgentError(
        "VOLUME_UNUSABLE",
        `Cannot create directory "${key}": the path exists and is not a directory`,
        {
          cause: error,
        },
      );
    }
  }

  removeFile(key: string): void {
    const parent = dirname(key);
    try {
      const fd = openInRoot(this.#rootFd, parent, O_DIRECTORY, 0, IN_VOLUME);
      try {
        unlinkat(fd, key.slice(key.lastIndexOf("/") + 1));
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      if (!isKernelError(error, "ENOENT")) throw error;
    }
  }
}

function nameType(stats: BigIntStats): string {
  if (stats.isSymbolicLink()) return "symlink";
  if (stats.isFIFO()) return "pipe";
  if (stats.isSocket()) return "socket";
  return "device";
}
