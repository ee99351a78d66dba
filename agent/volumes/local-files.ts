/**
 * The files of a volume: found without ever following a symlink or leaving the volume, while a test may change all of it.
 * Every path is resolved by the kernel below the volume's directory (openat2), none is trusted twice.
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
import { PART_PREFIX } from "./object-key.ts";

export interface LocalFile {
  key: string;
  stats: BigIntStats;
}

export interface LocalFiles {
  files: Map<string, LocalFile>;
  /** Keys of all directories, the volume's own as "". */
  directories: string[];
  /** What no object can be, with the reason. */
  leftOut: { name: string; why: string }[];
  /** Keys of half-written files. */
  parts: string[];
}

/** Entries looked at before others get their turn. */
const SLICE_ENTRIES = 500;
const IN_VOLUME = { noSymlinks: true };

/** Tells one state of a file from any other. */
export function fingerprintOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

/** An open volume: holds its directory, so that no path is looked up from outside again. */
export class LocalTree {
  readonly #rootFd: number;

  constructor(dataPath: string) {
    this.#rootFd = openSync(dataPath, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  }

  close(): void {
    closeSync(this.#rootFd);
  }

  /** Throws what the kernel says of a directory that cannot be read, for then nobody knows what is missing. */
  async scan({ signal }: { signal: AbortSignal }): Promise<LocalFiles> {
    const found: LocalFiles = { files: new Map(), directories: [], leftOut: [], parts: [] };
    const waiting: { key: string; depth: number }[] = [{ key: "", depth: 0 }];
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      signal.throwIfAborted();
      for (const key of await this.#scanDirectory(next.key, found)) {
        if (next.depth < TREE_MAX_DEPTH) waiting.push({ key, depth: next.depth + 1 });
        else found.leftOut.push({ name: key, why: "its path is too deep" });
      }
    }
    return found;
  }

  /** The directories in it. */
  async #scanDirectory(key: string, found: LocalFiles): Promise<string[]> {
    const directories: string[] = [];
    const fd = this.#openDirectory(key);
    if (fd === undefined) return directories;
    try {
      found.directories.push(key);
      const path = pathOfDescriptor(fd);
      let looked = 0;
      for (const bytes of readdirSync(path, { encoding: "buffer" })) {
        if (++looked % SLICE_ENTRIES === 0) await yieldToOthers();
        const name = bytes.toString();
        const entryKey = key === "" ? name : `${key}/${name}`;
        if (!Buffer.from(name).equals(bytes)) {
          found.leftOut.push({ name: entryKey, why: "its name is no valid Unicode" });
          continue;
        }
        const stats = lstatSync(`${path}/${name}`, { bigint: true, throwIfNoEntry: false });
        if (!stats) continue;
        if (stats.isDirectory()) directories.push(entryKey);
        else if (!stats.isFile()) found.leftOut.push({ name: entryKey, why: `it is a ${nameType(stats)}` });
        else if (name.startsWith(PART_PREFIX)) found.parts.push(entryKey);
        else found.files.set(entryKey, { key: entryKey, stats });
      }
    } finally {
      closeSync(fd);
    }
    return directories;
  }

  /** undefined where it is gone, or is no directory any more. */
  #openDirectory(key: string): number | undefined {
    try {
      return openInRoot(this.#rootFd, key === "" ? "." : key, O_DIRECTORY | O_NOFOLLOW, 0, IN_VOLUME);
    } catch (error) {
      if (key !== "" && isKernelError(error, "ENOENT", "ENOTDIR", "ELOOP")) return undefined;
      throw error;
    }
  }

  /** Of a regular file, to read; undefined where it is gone or something else by now. The caller closes it. */
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

  /** Makes what is missing on the way; `use` gets the descriptor of the directory. A symlink on the way is refused. */
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
        `Cannot make directory "${key}": something else is in its place`,
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
