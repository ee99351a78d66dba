/**
 * The directories of members, opened inside the root and kept open while they are in use.
 * The kernel resolves paths (openat2, RESOLVE_IN_ROOT): a symlink may lead anywhere, but never out of the root.
 */
import { closeSync } from "node:fs";
import { pathBytes, showPath } from "../../archive/tar-entry.ts";
import { AgentError } from "../../errors.ts";
import { fchmod, isKernelError, mkdirat, O_DIRECTORY, openInRoot } from "../../kernel/syscalls.ts";
import { OPEN_DIRECTORIES_MAX } from "../limits.ts";

export interface DirectoryCacheOptions {
  /** Called for each missing directory that was created. */
  onImplied: (path: string) => void;
  /** Called when a part of a path is not a directory; returns true after replacing it by one. */
  replaceByDirectory: (parentFd: number, name: Buffer, path: string) => boolean;
}

/** Mode of a directory that the archive does not describe. */
const IMPLIED_MODE = 0o755;

export class DirectoryCache {
  readonly #rootFd: number;
  readonly #options: DirectoryCacheOptions;
  /** By path, least recently used first. */
  readonly #opened = new Map<string, number>();
  /** Without a path, because it may lead elsewhere now; still in use. */
  #retired: number[] = [];

  constructor(rootFd: number, options: DirectoryCacheOptions) {
    this.#rootFd = rootFd;
    this.#options = options;
  }

  /** Opens the directory; creates it and its parents where missing. The cache keeps the descriptor. */
  open(parts: readonly string[]): number {
    try {
      return this.openExisting(parts);
    } catch (error) {
      if (parts.length === 0 || !isKernelError(error, "ENOENT", "ENOTDIR")) throw error;
    }
    return this.#create(parts);
  }

  /** As `open`, but throws KernelError when the directory does not exist. */
  openExisting(parts: readonly string[]): number {
    const path = parts.join("/");
    const known = this.#opened.get(path);
    if (known !== undefined) {
      this.#opened.delete(path);
      this.#opened.set(path, known);
      return known;
    }
    const fd = openInRoot(this.#rootFd, pathBytes(path || "."), O_DIRECTORY);
    this.add(parts, fd);
    return fd;
  }

  /** Takes ownership of the descriptor. */
  add(parts: readonly string[], fd: number): void {
    const path = parts.join("/");
    const known = this.#opened.get(path);
    if (known !== undefined) closeSync(known);
    this.#opened.delete(path);
    this.#opened.set(path, fd);
    if (this.#opened.size <= OPEN_DIRECTORIES_MAX) return;
    const [oldest, oldestFd] = this.#opened.entries().next().value!;
    this.#opened.delete(oldest);
    closeSync(oldestFd);
  }

  /** To be called when a directory or symlink was removed: every path may lead elsewhere now. Descriptors in use are closed later. */
  closeAllBut(inUse: readonly number[]): void {
    const fds = [...this.#retired, ...this.#opened.values()];
    this.#opened.clear();
    this.#retired = fds.filter((fd) => inUse.includes(fd));
    for (const fd of fds) if (!inUse.includes(fd)) closeSync(fd);
  }

  #create(parts: readonly string[]): number {
    const parentFd = this.open(parts.slice(0, -1));
    const name = pathBytes(parts.at(-1)!);
    try {
      mkdirat(parentFd, name, IMPLIED_MODE);
    } catch (error) {
      if (!isKernelError(error, "EEXIST")) throw error;
      // Neither a directory nor a symlink to one.
      if (this.#options.replaceByDirectory(parentFd, name, parts.join("/"))) return this.open(parts);
      throw new AgentError(
        "ARCHIVE_BAD_MEMBER",
        `Cannot unpack into ${showPath(parts.join("/"))}: it exists and is not a directory`,
      );
    }
    const fd = this.openExisting(parts);
    fchmod(fd, IMPLIED_MODE); // independent of the umask
    this.#options.onImplied(parts.join("/"));
    return fd;
  }
}
