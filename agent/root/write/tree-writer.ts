/**
 * Writes the members of a tar archive below one directory. Safe by construction: every path is resolved inside it, and no
 * existing file is opened for writing. Whiteouts become those of overlayfs (overlayfs.rst, "whiteouts and opaque directories").
 */
import { closeSync, constants, fstatSync, ftruncateSync, writeSync } from "node:fs";
import { splitMemberPath } from "../../archive/member-path.ts";
import { pathBytes, showPath, type TarEntry, type TarTime } from "../../archive/tar-entry.ts";
import type { TarVisitor } from "../../archive/tar-reader.ts";
import { AgentError } from "../../errors.ts";
import {
  fsetxattr,
  isKernelError,
  linkat,
  mkdirat,
  mknodat,
  O_DIRECTORY,
  O_NOFOLLOW,
  openInRoot,
  symlinkat,
  utimensat,
} from "../../kernel/syscalls.ts";
import { readLayerName } from "../../oci/whiteout.ts";
import type { UnpackResult } from "../unpack/messages.ts";
import { DirectoryCache } from "./directory-cache.ts";
import { OPAQUE_XATTR } from "./directory-metadata.ts";
import { setMetadata, setMetadataAt } from "./file-metadata.ts";
import { isWhiteout, removeAt, statAt } from "./fs-at.ts";
import { describeWriteFailure } from "./write-failure.ts";

const { O_CREAT, O_EXCL, O_WRONLY, S_IFBLK, S_IFCHR, S_IFIFO } = constants;
const NO_PATH = Buffer.alloc(0);
/** Of directories that no archive describes. */
const NO_TIME = { sec: 0, nsec: 0 };
const NOTHING = Buffer.alloc(0);
const ORIGIN_XATTR = Buffer.from("trusted.overlay.origin");
const OPAQUE_VALUE = Buffer.from("y");

export interface TreeWriterOptions {
  kind: "layer" | "artifact";
  /** Parts below the root; empty for the root itself. */
  to: readonly string[];
}

interface Destination {
  entry: TarEntry;
  parts: readonly string[];
  name: Buffer;
}

/** Descriptors that an operation still uses. */
type DirectoriesInUse = readonly [parentFd: number, ...others: number[]];

export class TreeWriter implements TarVisitor {
  readonly #rootFd: number;
  readonly #options: TreeWriterOptions;
  readonly #directories: DirectoryCache;
  /** Directories that are members, by path: their times, which are set at the end. */
  readonly #described = new Map<string, TarTime>();
  readonly #implied = new Set<string>();
  readonly #dropped = new Map<string, number>();
  #file: { fd: number; entry: TarEntry; position: number } | undefined;
  #currentPath: string;
  #files = 0;
  #contentBytes = 0;
  #isRootOpaque = false;
  #hasWhiteouts = false;

  /** The caller keeps `rootFd` open until `close`. */
  constructor(rootFd: number, options: TreeWriterOptions) {
    this.#rootFd = rootFd;
    this.#options = options;
    this.#currentPath = options.to.join("/");
    this.#directories = new DirectoryCache(rootFd, {
      onImplied: (path) => this.#implied.add(path),
      replaceByDirectory: (parentFd, name, path) => this.#replaceWhiteout(parentFd, name, path),
    });
  }

  get files(): number {
    return this.#files;
  }

  /** To be called before the first member: creates the destination. */
  start(): void {
    this.#guard(() => this.#directories.open(this.#options.to));
  }

  onEntry(entry: TarEntry): void {
    this.#currentPath = entry.path;
    this.#guard(() => this.#add(entry));
  }

  onContent(chunk: Buffer): void {
    // Undefined for whiteouts and metadata of aufs, whose content is ignored.
    const file = this.#file;
    if (!file) return;
    this.#guard(() => {
      for (let at = 0; at < chunk.length; )
        at += writeSync(file.fd, chunk, at, chunk.length - at, file.position + at);
      file.position += chunk.length;
      this.#contentBytes += chunk.length;
    });
  }

  onHole(sizeBytes: number): void {
    const file = this.#file;
    if (!file) return;
    file.position += sizeBytes;
    this.#guard(() => ftruncateSync(file.fd, file.position));
  }

  onEntryEnd(): void {
    const file = this.#file;
    if (!file) return;
    this.#file = undefined;
    try {
      this.#guard(() => setMetadata(file.fd, file.entry, this.#countDropped));
    } finally {
      closeSync(file.fd);
    }
  }

  /** To be called after the last member. */
  finish(): UnpackResult {
    const implied = [...this.#implied].map((path) => [path, NO_TIME] as const);
    for (const [path, time] of [...implied, ...this.#described]) {
      this.#currentPath = path;
      this.#guard(() => this.#setTime(path, time));
    }
    return {
      files: this.#files,
      contentBytes: this.#contentBytes,
      directory: {
        hasRoot: this.#described.has(""),
        isRootOpaque: this.#isRootOpaque,
        impliedDirectories: [...this.#implied],
      },
      warnings: [...this.#dropped].map(([warning, count]) => `${count} × ${warning}`),
    };
  }

  #setTime(path: string, time: TarTime): void {
    try {
      const fd = this.#directories.openExisting(path === "" ? [] : path.split("/"));
      utimensat(fd, NO_PATH, time, time);
    } catch (error) {
      // A member replaced it, by another way through a symlink.
      if (!isKernelError(error, "ENOENT", "ENOTDIR", "ELOOP")) throw error;
    }
  }

  /** To be called after success and failure. */
  close(): void {
    if (this.#file) closeSync(this.#file.fd);
    this.#file = undefined;
    this.#directories.closeAllBut([]);
  }

  #add(entry: TarEntry): void {
    const own = splitMemberPath(entry.path);
    if (this.#options.kind === "layer" && this.#obeyWhiteout(own)) return;
    this.#files++;
    const parts = [...this.#options.to, ...own];
    if (own.length === 0) {
      this.#describeRoot(entry, parts);
      return;
    }
    const destination: Destination = { entry, parts, name: pathBytes(parts.at(-1)!) };
    if (entry.type === "directory") this.#makeDirectory(destination);
    else if (entry.type === "hardlink") this.#link(destination);
    else if (entry.type === "file") this.#openFile(destination);
    else this.#makeNode(destination);
  }

  #describeRoot(entry: TarEntry, parts: readonly string[]): void {
    if (entry.type !== "directory") {
      throw new AgentError(
        "ARCHIVE_UNSAFE_MEMBER",
        `Cannot unpack ${showPath(entry.path)}: it would replace the root by a ${entry.type}`,
      );
    }
    const wasImplied = this.#implied.has(parts.join("/"));
    const fd = this.#directories.open(parts);
    const isNew = wasImplied || this.#implied.has(parts.join("/"));
    if (this.#options.kind === "layer" || isNew) this.#describe(fd, parts, entry);
  }

  #openFile({ entry, parts, name }: Destination): void {
    const parentFd = this.#directories.open(parts.slice(0, -1));
    const flags = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW;
    const fd = this.#create(parts, name, [parentFd], () => openInRoot(parentFd, name, flags, 0o600));
    this.#file = { fd, entry, position: 0 };
  }

  #makeNode({ entry, parts, name }: Destination): void {
    const isReserved = entry.type === "char" && entry.devMajor === 0 && entry.devMinor === 0;
    if (isReserved && this.#options.kind === "artifact")
      throw new AgentError(
        "ARCHIVE_BAD_MEMBER",
        `Cannot unpack ${showPath(entry.path)}: overlayfs has no device 0:0`,
      );
    const parentFd = this.#directories.open(parts.slice(0, -1));
    this.#create(parts, name, [parentFd], () => {
      if (entry.type === "symlink") symlinkat(pathBytes(entry.linkPath), parentFd, name);
      else {
        const type = entry.type === "char" ? S_IFCHR : entry.type === "block" ? S_IFBLK : S_IFIFO;
        const isDevice = entry.type !== "fifo";
        const device = { major: isDevice ? entry.devMajor : 0, minor: isDevice ? entry.devMinor : 0 };
        mknodat(parentFd, name, type | 0o600, device);
      }
    });
    setMetadataAt(parentFd, name, entry, this.#countDropped);
  }

  #makeDirectory({ entry, parts, name }: Destination): void {
    const parentFd = this.#directories.open(parts.slice(0, -1));
    let isOpaque = false;
    try {
      mkdirat(parentFd, name, 0o700);
    } catch (error) {
      if (!isKernelError(error, "EEXIST")) throw error;
      const existing = statAt(parentFd, name);
      if (existing?.isDirectory() || this.#leadsToDirectory(parts)) {
        const path = parts.join("/");
        const isOurs = this.#described.has(path) || this.#implied.has(path);
        if (this.#options.kind === "artifact" && !isOurs) return;
      } else {
        // A directory that replaces a whiteout must hide the lower directory.
        isOpaque = this.#options.kind === "layer" && existing !== undefined && isWhiteout(existing);
        this.#remove(parts, name, [parentFd]);
        mkdirat(parentFd, name, 0o700);
      }
    }
    const fd = openInRoot(parentFd, name, O_DIRECTORY | O_NOFOLLOW);
    this.#directories.add(parts, fd);
    if (isOpaque) fsetxattr(fd, OPAQUE_XATTR, OPAQUE_VALUE);
    this.#describe(fd, parts, entry);
  }

  /** An artifact with `lib/` must not replace a symlink `lib -> usr/lib` of the root. */
  #leadsToDirectory(parts: readonly string[]): boolean {
    if (this.#options.kind === "layer") return false;
    try {
      this.#directories.openExisting(parts);
      return true;
    } catch (error) {
      if (isKernelError(error, "ENOENT", "ENOTDIR", "ELOOP")) return false;
      throw error;
    }
  }

  #describe(fd: number, parts: readonly string[], entry: TarEntry): void {
    const path = parts.join("/");
    setMetadata(fd, entry, this.#countDropped);
    this.#described.set(path, entry.mtime);
    this.#implied.delete(path);
  }

  /** As for podman, the target must be there already. */
  #link({ entry, parts, name }: Destination): void {
    const targetParts = [...this.#options.to, ...splitMemberPath(entry.linkPath)];
    const targetName = pathBytes(targetParts.at(-1) ?? ".");
    const parentFd = this.#directories.open(parts.slice(0, -1));
    try {
      const targetDirFd = this.#directories.openExisting(targetParts.slice(0, -1));
      const target = this.#hasWhiteouts ? statAt(targetDirFd, targetName) : undefined;
      if (target && isWhiteout(target))
        throw new AgentError(
          "ARCHIVE_BAD_MEMBER",
          `Cannot link ${showPath(entry.path)} to ${showPath(entry.linkPath)}: this layer deletes it`,
        );
      const link = () => linkat(targetDirFd, targetName, parentFd, name);
      try {
        link();
      } catch (error) {
        if (!isKernelError(error, "EEXIST")) throw error;
        const existing = statAt(parentFd, name);
        if (existing?.ino === statAt(targetDirFd, targetName)?.ino && !existing?.isDirectory()) return;
        if (existing?.isDirectory())
          throw new AgentError(
            "ARCHIVE_BAD_MEMBER",
            `Cannot unpack ${showPath(entry.path)}: a hard link would replace a directory`,
          );
        this.#remove(parts, name, [parentFd, targetDirFd]);
        link();
      }
    } catch (error) {
      throw describeLinkFailure(entry, error);
    }
  }

  /** Returns true when the name is a whiteout or metadata of aufs, and not a member. */
  #obeyWhiteout(parts: readonly string[]): boolean {
    const layerName = readLayerName(parts);
    if (layerName.kind === "entry") return false;
    const parents = parts.slice(0, -1);
    if (layerName.kind === "opaque") {
      const fd = this.#directories.open(parents);
      fsetxattr(fd, OPAQUE_XATTR, OPAQUE_VALUE);
      // overlayfs ignores the mark there. Also a symlink may lead to the root.
      this.#isRootOpaque ||= fstatSync(fd).ino === fstatSync(this.#rootFd).ino;
    } else if (layerName.kind === "whiteout") this.#hide(parents, pathBytes(layerName.hidden));
    return true;
  }

  #hide(parents: readonly string[], name: Buffer): void {
    const parentFd = this.#directories.open(parents);
    const own = statAt(parentFd, name);
    if (!own) {
      mknodat(parentFd, name, S_IFCHR, { major: 0, minor: 0 });
      this.#hasWhiteouts = true;
      // Else overlayfs lists the whiteout itself where no lower layer has the directory.
      fsetxattr(parentFd, ORIGIN_XATTR, NOTHING);
    }
    // A directory of this layer is kept, the contents of lower layers are hidden.
    else if (own.isDirectory()) {
      this.#makeOpaque(parentFd, name);
      const path = [...parents, name.toString("latin1")].join("/");
      if (this.#implied.delete(path)) this.#described.set(path, NO_TIME);
    }
  }

  #makeOpaque(parentFd: number, name: Buffer): void {
    const fd = openInRoot(parentFd, name, O_DIRECTORY | O_NOFOLLOW);
    try {
      fsetxattr(fd, OPAQUE_XATTR, OPAQUE_VALUE);
    } finally {
      closeSync(fd);
    }
  }

  /** A path implies a directory that this layer deleted: creates one that hides the lower directory. */
  #replaceWhiteout(parentFd: number, name: Buffer, path: string): boolean {
    const existing = statAt(parentFd, name);
    if (this.#options.kind !== "layer" || !existing || !isWhiteout(existing)) return false;
    removeAt(parentFd, name);
    mkdirat(parentFd, name, 0o755);
    this.#makeOpaque(parentFd, name);
    this.#described.set(path, NO_TIME);
    return true;
  }

  /**
   * Creates a file, after removing an existing one of the name, with its contents.
   * `inUse` starts with the directory of the name.
   */
  #create<T>(parts: readonly string[], name: Buffer, inUse: DirectoriesInUse, make: () => T): T {
    try {
      return make();
    } catch (error) {
      if (!isKernelError(error, "EEXIST")) throw error;
    }
    this.#remove(parts, name, inUse);
    return make();
  }

  #remove(parts: readonly string[], name: Buffer, inUse: DirectoriesInUse): void {
    const existing = statAt(inUse[0], name);
    removeAt(inUse[0], name);
    if (!existing?.isDirectory() && !existing?.isSymbolicLink()) return;
    this.#directories.closeAllBut(inUse);
    const removed = parts.join("/");
    for (const path of [...this.#described.keys(), ...this.#implied]) {
      if (path !== removed && !path.startsWith(`${removed}/`)) continue;
      this.#described.delete(path);
      this.#implied.delete(path);
    }
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      const progress = { rootFd: this.#rootFd, contentBytes: this.#contentBytes, files: this.#files };
      throw describeWriteFailure(error, this.#currentPath, progress);
    }
  }

  readonly #countDropped = (name: string, reason: string): void => {
    const warning = `attribute "${name}" not kept: ${reason}`;
    this.#dropped.set(warning, (this.#dropped.get(warning) ?? 0) + 1);
  };
}

function describeLinkFailure(entry: TarEntry, cause: unknown): unknown {
  if (!isKernelError(cause, "ENOENT", "ENOTDIR", "EPERM", "ELOOP", "EXDEV")) return cause;
  return new AgentError(
    "ARCHIVE_BAD_MEMBER",
    `Cannot link ${showPath(entry.path)} to ${showPath(entry.linkPath)}: it is not a file that came before it (${cause.code})`,
    { cause },
  );
}
