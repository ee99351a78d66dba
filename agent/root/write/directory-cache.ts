/**
 * The directories that members lie in, opened inside the root and kept open while they are in use.
 * Resolution is the kernel's (openat2, RESOLVE_IN_ROOT): a link may lead anywhere, but never out of the root.
 */
import { closeSync } from "node:fs";
import { pathBytes, showPath } from "../../archive/tar-entry.ts";
import { AgentError } from "../../errors.ts";
import { fchmod, isKernelError, mkdirat, O_DIRECTORY, openInRoot } from "../../kernel/syscalls.ts";
import { OPEN_DIRECTORIES_MAX } from "../limits.ts";
import { joinParts } from "./member-path.ts";

export interface OpenDirectories {
  /** Opens the directory, and makes it and those above it where they are missing. The descriptor stays ours. */
  open(parts: readonly string[]): number;
  /** As `open`, but throws the kernel's error for a directory that is not there. */
  openExisting(parts: readonly string[]): number;
  /** Takes over the descriptor of a directory that was just made. */
  keep(parts: readonly string[], fd: number): void;
  /** To be called when a directory or a link was removed: paths may mean something else from now on. */
  forgetAllBut(inUse: readonly number[]): void;
}

export interface OpenDirectoriesOptions {
  /** Told of each directory that was made on the way. */
  onImplied: (path: string) => void;
  /** May clear the way when a part is no directory; true when it did. */
  clearWay: (parentFd: number, name: Buffer) => boolean;
  maxOpen?: number;
}

/** Mode of a directory that the archive does not describe. */
const IMPLIED_MODE = 0o755;

export function createOpenDirectories(rootFd: number, options: OpenDirectoriesOptions): OpenDirectories {
  const { onImplied, clearWay, maxOpen = OPEN_DIRECTORIES_MAX } = options;
  // In order of use, the oldest first.
  const opened = new Map<string, number>();

  const keep = (parts: readonly string[], fd: number): void => {
    const path = parts.join("/");
    const known = opened.get(path);
    if (known !== undefined) closeSync(known);
    opened.delete(path);
    opened.set(path, fd);
    if (opened.size <= maxOpen) return;
    const [oldest, oldestFd] = opened.entries().next().value!;
    opened.delete(oldest);
    closeSync(oldestFd);
  };

  const openExisting = (parts: readonly string[]): number => {
    const path = parts.join("/");
    const known = opened.get(path);
    if (known !== undefined) {
      opened.delete(path);
      opened.set(path, known);
      return known;
    }
    const fd = openInRoot(rootFd, joinParts(parts), O_DIRECTORY);
    keep(parts, fd);
    return fd;
  };

  const make = (parts: readonly string[]): number => {
    const parentFd = open(parts.slice(0, -1));
    const name = pathBytes(parts.at(-1)!);
    try {
      mkdirat(parentFd, name, IMPLIED_MODE);
    } catch (error) {
      if (!isKernelError(error, "EEXIST")) throw error;
      // Neither a directory nor a link to one.
      if (!clearWay(parentFd, name)) throw notADirectory(parts);
      return open(parts);
    }
    const fd = openExisting(parts);
    fchmod(fd, IMPLIED_MODE); // whatever the umask made of it
    onImplied(parts.join("/"));
    return fd;
  };

  const open = (parts: readonly string[]): number => {
    try {
      return openExisting(parts);
    } catch (error) {
      if (parts.length === 0 || !isKernelError(error, "ENOENT", "ENOTDIR")) throw error;
    }
    return make(parts);
  };

  return {
    open,
    openExisting,
    keep,
    forgetAllBut(inUse) {
      for (const [path, fd] of opened) {
        if (inUse.includes(fd)) continue;
        opened.delete(path);
        closeSync(fd);
      }
    },
  };
}

function notADirectory(parts: readonly string[]): AgentError {
  return new AgentError(
    "ARCHIVE_BAD_MEMBER",
    `Cannot unpack into ${showPath(parts.join("/"))}: it is there and is no directory`,
  );
}
