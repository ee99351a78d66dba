/**
 * Pulls objects from S3 into a volume. Keys are untrusted: none may lead out of the volume or through a symlink.
 * A file appears only when it is complete: it is written under another name in the same directory and renamed.
 */
import { randomBytes } from "node:crypto";
import { closeSync, constants, fstatSync, write } from "node:fs";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { AgentError } from "../errors.ts";
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
  listObjects,
  type MirrorContext,
  type MirrorEnd,
  MirrorReport,
  transferFiles,
} from "./mirror-run.ts";
import type { BucketObject } from "./object-bucket.ts";
import { isExcluded, PART_PREFIX } from "./object-bucket.ts";

export interface PullMirror {
  /** Compares all objects with a new listing. Throws S3_*, VOLUME_MIRROR_FAILED, VOLUME_NO_SPACE. */
  pullAll(options: { signal: AbortSignal }): Promise<boolean>;
}

const KEPT = "it is kept, because it was changed and the last push failed";
/** The buffer of one download. */
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
  {
    isTwoWay,
    hasUnpushed,
  }: {
    /** The same location is pushed to at the same time: new files here are not removed. */
    isTwoWay: boolean;
    /** The last push failed: what was changed here is neither replaced nor removed. */
    hasUnpushed: () => boolean;
  },
): PullMirror {
  const { volume, tree, state, options, log } = context;
  const { bucket, location } = end;
  const action = `pull volume "${volume}" from "${location}"`;
  const logged = new Set<string>();

  async function pullAll({ signal }: { signal: AbortSignal }): Promise<boolean> {
    const report = new MirrorReport(action, log);
    let isWhole = true;
    const skip = (key: string, why: string) => {
      isWhole = false;
      report.skip(key, why);
    };
    const objects = await listObjects(end, skip, { signal });
    const local = await tree.scan({ signal });
    for (const key of local.parts) tree.removeFile(key);

    const wanted: WantedObject[] = [];
    for (const [key, object] of objects) {
      signal.throwIfAborted();
      if (isExcluded(key, options.exclude)) continue;
      const shadow = findShadow(key, objects);
      if (shadow !== undefined) {
        skip(key, `"${shadow}" is an object and cannot be a directory too`);
        continue;
      }
      if (key.endsWith("/")) {
        if (object.sizeBytes === 0) await makeDirectory(key, report);
        else skip(key, "it has a directory's name and has content");
        continue;
      }
      const file = local.files.get(key);
      const difference = await state.compare(file, object, "pull");
      if (difference === "same") continue;
      const isUnpushed = file !== undefined && hasUnpushed() && !state.isUntouched(file);
      const mayReplace =
        options.overwrite || !file || (state.isMadeBy("pull", key) && state.isUntouched(file));
      if (isUnpushed) report.skip(key, KEPT);
      else if (mayReplace) wanted.push({ key, object, file });
      else report.skip(key, "it differs, and overwrite is not set");
    }

    await transferFiles(wanted, (each, both) => pullObject(each, both, report), {
      sizeOf: () => DOWNLOAD_BUFFER_BYTES,
      report,
      signal,
    });

    if (options.remove) {
      for (const [key, file] of local.files) {
        if (objects.has(key) || isExcluded(key, options.exclude)) continue;
        if (!state.isUntouched(file)) {
          if (hasUnpushed()) report.skip(key, KEPT);
          if (isTwoWay || hasUnpushed()) continue;
        }
        tree.removeFile(key);
        state.forget(key);
        report.removed++;
      }
    }
    report.logSummary(volume, `pulled from "${location}"`);
    report.finish(logged);
    return isWhole;
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
        await pipeline(body, (chunks: AsyncIterable<Buffer>) => writeTo(fd, chunks), { signal });
        applyAttributes(fd, attributes);
        const mayReplace = options.overwrite || file !== undefined;
        if (!moveInPlace(directoryFd, part, name, mayReplace)) {
          unlinkat(directoryFd, part);
          report.skip(key, "it is new on both sides, and overwrite is not set");
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
          if (!isKernelError(unlinkError, "ENOENT")) log.warn(`${action}: ${(unlinkError as Error).message}`);
        }
        throw error;
      } finally {
        closeSync(fd);
      }
    });
  }

  return {
    async pullAll(options) {
      try {
        return await pullAll(options);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== "ENOSPC" && code !== "EDQUOT") throw error;
        const message = `Cannot ${action}: no space left in the volume (${(error as Error).message})`;
        throw new AgentError("VOLUME_NO_SPACE", message, { cause: error });
      }
    },
  };
}

const writeAsync = promisify(write);

/** Leaves the descriptor open, also after a failure: a WriteStream would close it under its owner. */
async function writeTo(fd: number, chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) at += (await writeAsync(fd, chunk, at)).bytesWritten;
  }
}

/** An object with the name of one of the key's parent directories. */
function findShadow(key: string, objects: ReadonlyMap<string, BucketObject>): string | undefined {
  const end = key.endsWith("/") ? key.length - 1 : key.length;
  for (let at = key.indexOf("/"); at >= 0 && at < end; at = key.indexOf("/", at + 1)) {
    if (objects.has(key.slice(0, at))) return key.slice(0, at);
  }
  return undefined;
}

/** The owner first, because a change of it clears the set-id bits; times last. */
function applyAttributes(fd: number, { mode, uid, gid, atime, mtime }: FileAttributes): void {
  if (uid !== undefined || gid !== undefined) fchownat(fd, "", uid ?? -1, gid ?? -1);
  if (mode !== undefined) fchmod(fd, mode);
  if (mtime) utimensat(fd, "", atime ?? mtime, mtime);
}

/** False when a file of that name was created meanwhile and may not be replaced. */
function moveInPlace(directoryFd: number, part: string, name: string, mayReplace: boolean): boolean {
  if (!mayReplace) {
    try {
      renameat2(directoryFd, part, directoryFd, name, RENAME_NOREPLACE);
      return true;
    } catch (error) {
      if (isKernelError(error, "EEXIST")) return false;
      // Network file systems lack this flag.
      if (!isKernelError(error, "EINVAL")) throw error;
    }
  }
  renameat2(directoryFd, part, directoryFd, name);
  return true;
}
