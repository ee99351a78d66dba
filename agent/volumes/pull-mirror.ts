/**
 * Pulls objects from S3 into a volume. Keys are a stranger's: none leads out of the volume, none goes through a symlink.
 * A file appears whole or not at all: it is written under another name beside its place.
 */
import { randomBytes } from "node:crypto";
import { closeSync, constants, createWriteStream, fstatSync } from "node:fs";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import {
  fchmod,
  fchownat,
  isKernelError,
  O_NOFOLLOW,
  openInRoot,
  RENAME_NOREPLACE,
  renameat2,
  unlinkat,
  utimensat,
} from "../kernel/syscalls.ts";
import { type FileAttributes, parseFileAttributes } from "./file-attributes.ts";
import type { LocalFile } from "./local-files.ts";
import {
  isFilesOwnFault,
  isLeftAlone,
  listPlace,
  type MirrorContext,
  type MirrorEnd,
  MirrorReport,
} from "./mirror-run.ts";
import type { BucketObject } from "./object-bucket.ts";
import { PART_PREFIX } from "./object-key.ts";
import { runBounded } from "./run-bounded.ts";

export interface PullMirror {
  /** Compares everything with a new listing. Throws S3_*, VOLUME_MIRROR_FAILED. */
  pullAll(options: { signal: AbortSignal }): Promise<void>;
}

/** What a download buffers by itself, whatever its size. */
const DOWNLOAD_BUFFER_BYTES = 1024 * 1024;

interface WantedObject {
  key: string;
  object: BucketObject;
  /** The file that may be replaced. */
  file: LocalFile | undefined;
}

export function createPullMirror(
  end: MirrorEnd,
  context: MirrorContext,
  /** The same place is pushed to meanwhile: what is new here is not this side's to undo. */
  { isTwoWay = false } = {},
): PullMirror {
  const { volume, tree, state, options, log } = context;
  const { bucket, place } = end;
  const what = `pull volume "${volume}" from "${place}"`;
  const told = new Set<string>();

  async function pullAll({ signal }: { signal: AbortSignal }): Promise<void> {
    const startedMs = performance.now();
    const report = new MirrorReport(what, log);
    const objects = await listPlace(end, (key, why) => report.leaveOut(key, why), { signal });
    const local = await tree.scan({ signal });
    for (const key of local.parts) tree.removeFile(key);

    const wanted: WantedObject[] = [];
    for (const [key, object] of objects) {
      signal.throwIfAborted();
      if (isLeftAlone(key, options)) continue;
      const shadow = findShadow(key, objects);
      if (shadow !== undefined) {
        report.leaveOut(key, `"${shadow}" is an object itself, and cannot be a directory too`);
        continue;
      }
      if (key.endsWith("/")) {
        if (object.sizeBytes === 0) await makeDirectory(key, report);
        else report.leaveOut(key, "it has a directory's name and content");
        continue;
      }
      const file = local.files.get(key);
      const difference = await state.compare(file, object, "pull");
      if (difference === "same") continue;
      const mayReplace =
        options.overwrite || !file || (state.isMadeBy("pull", key) && state.isUntouched(file));
      if (mayReplace) wanted.push({ key, object, file });
      else report.leaveOut(key, "it differs, and overwrite is not set");
    }

    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    await runBounded(
      wanted,
      () => DOWNLOAD_BUFFER_BYTES,
      async (each) => {
        if (both.aborted) return;
        try {
          await pullObject(each, both, report);
        } catch (error) {
          if (isFilesOwnFault(error)) report.fail(each.key, error);
          else stop.abort(error);
        }
      },
    );
    both.throwIfAborted();

    if (options.remove) {
      for (const [key, file] of local.files) {
        if (objects.has(key) || isLeftAlone(key, options)) continue;
        if (isTwoWay && !state.isUntouched(file)) continue;
        tree.removeFile(key);
        state.forget(key);
        report.removed++;
      }
    }
    if (!report.isEmpty) {
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      const removed = report.removed > 0 ? `, ${report.removed} removed` : "";
      log.info(
        `volume "${volume}": ${report.files} files, ${(report.bytes / 1e6).toFixed(1)} MB pulled from "${place}" in ${seconds} s${removed}`,
      );
    }
    report.finish(told);
  }

  async function makeDirectory(key: string, report: MirrorReport): Promise<void> {
    try {
      await tree.inDirectory(key.slice(0, -1), () => undefined);
    } catch (error) {
      if (!isFilesOwnFault(error)) throw error;
      report.fail(key, error);
    }
  }

  async function pullObject(
    { key, object, file }: WantedObject,
    signal: AbortSignal,
    report: MirrorReport,
  ): Promise<void> {
    const { body, metadata } = await bucket.get(object.key, { signal });
    const attributes = options.preserve ? parseFileAttributes(metadata) : {};
    const name = key.slice(key.lastIndexOf("/") + 1);
    await tree.inDirectory(dirname(key), async (directoryFd) => {
      const part = `${PART_PREFIX}${randomBytes(8).toString("hex")}`;
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | O_NOFOLLOW;
      const fd = openInRoot(directoryFd, part, flags, 0o644, { noSymlinks: true });
      try {
        await pipeline(body, createWriteStream("", { fd, autoClose: false }), { signal });
        applyAttributes(fd, attributes);
        const mayReplace = options.overwrite || file !== undefined;
        if (!moveInPlace(directoryFd, part, name, mayReplace)) {
          unlinkat(directoryFd, part);
          report.leaveOut(key, "it is new on both sides, and overwrite is not set");
          return;
        }
        const stats = fstatSync(fd, { bigint: true });
        state.pair({ key, stats }, object.etag, "pull");
        report.files++;
        report.bytes += Number(stats.size);
      } catch (error) {
        try {
          unlinkat(directoryFd, part);
        } catch (unlinkError) {
          if (!isKernelError(unlinkError, "ENOENT")) log.warn(`${what}: ${(unlinkError as Error).message}`);
        }
        throw error;
      } finally {
        closeSync(fd);
      }
    });
  }

  return { pullAll };
}

/** The object among the key's parents; both cannot be had in one file system. */
function findShadow(key: string, objects: ReadonlyMap<string, BucketObject>): string | undefined {
  const end = key.endsWith("/") ? key.length - 1 : key.length;
  for (let at = key.indexOf("/"); at >= 0 && at < end; at = key.indexOf("/", at + 1)) {
    if (objects.has(key.slice(0, at))) return key.slice(0, at);
  }
  return undefined;
}

/** Owner before mode, for a new owner clears the set-id bits; times last. */
function applyAttributes(fd: number, { mode, uid, gid, atime, mtime }: FileAttributes): void {
  if (uid !== undefined || gid !== undefined) fchownat(fd, "", uid ?? -1, gid ?? -1);
  if (mode !== undefined) fchmod(fd, mode);
  if (mtime) utimensat(fd, "", atime ?? mtime, mtime);
}

/** False when somebody made a file of that name meanwhile that must stay. */
function moveInPlace(directoryFd: number, part: string, name: string, mayReplace: boolean): boolean {
  if (!mayReplace) {
    try {
      renameat2(directoryFd, part, directoryFd, name, RENAME_NOREPLACE);
      return true;
    } catch (error) {
      if (isKernelError(error, "EEXIST")) return false;
      // Network file systems know no such flag.
      if (!isKernelError(error, "EINVAL")) throw error;
    }
  }
  renameat2(directoryFd, part, directoryFd, name);
  return true;
}
