/**
 * Pushes a volume's files to S3: what the bucket lacks, what differs where that is allowed, and removals where they are asked for.
 * A file that changes while it goes up goes up again; symlinks and special files are told and not followed.
 */
import { closeSync, fstatSync } from "node:fs";
import { AgentError } from "../errors.ts";
import { pathOfDescriptor } from "../kernel/syscalls.ts";
import { formatFileAttributes } from "./file-attributes.ts";
import { VOLUME_CHANGED_FILE_TRIES } from "./limits.ts";
import { fingerprintOf, type LocalFile, type LocalFiles } from "./local-files.ts";
import {
  isFilesOwnFault,
  isLeftAlone,
  listPlace,
  type MirrorContext,
  type MirrorEnd,
  MirrorReport,
} from "./mirror-run.ts";
import type { BucketObject } from "./object-bucket.ts";
import { runBounded } from "./run-bounded.ts";

export interface PushMirror {
  /** Compares everything with a new listing. Throws S3_*, VOLUME_MIRROR_FAILED. */
  pushAll(options: { signal: AbortSignal }): Promise<LocalFiles>;
  /** Compares with what the last listing and this boot's own pushes left; `isReady` may put a file off. */
  pushChanged(options: { signal: AbortSignal; isReady: (file: LocalFile) => boolean }): Promise<LocalFiles>;
}

interface PushRound {
  report: MirrorReport;
  /** The listing is of this round. */
  isListed: boolean;
  isReady: (file: LocalFile) => boolean;
}

export function createPushMirror(
  end: MirrorEnd,
  context: MirrorContext,
  /** The same place is pulled from meanwhile: what changed there is not this side's to undo. */
  { isTwoWay = false } = {},
): PushMirror {
  const { volume, tree, state, options, log } = context;
  const { bucket, prefix, place } = end;
  const what = `push volume "${volume}" to "${place}"`;
  const told = new Set<string>();
  let remote = new Map<string, BucketObject>();

  async function push(signal: AbortSignal, { report, isListed, isReady }: PushRound): Promise<LocalFiles> {
    const startedMs = performance.now();
    const local = await tree.scan({ signal });
    for (const { name, why } of local.leftOut) if (!isLeftAlone(name, options)) report.leaveOut(name, why);

    const wanted: LocalFile[] = [];
    for (const file of local.files.values()) {
      signal.throwIfAborted();
      if (isLeftAlone(file.key, options)) continue;
      const object = remote.get(file.key);
      // An old listing says nothing against what was the same after it.
      if (state.isUntouched(file) && (!isListed || (isTwoWay && object))) continue;
      const difference = await state.compare(file, object, "push");
      // What this boot pushed itself follows its file; without that, a live mirror would keep each log's first lines.
      const mayReplace = options.overwrite || state.isMadeBy("push", file.key);
      if (difference === "same") continue;
      if (difference === "differs" && !mayReplace)
        report.leaveOut(file.key, "it differs, and overwrite is not set");
      else if (isReady(file)) wanted.push(file);
    }

    const stop = new AbortController();
    const both = AbortSignal.any([signal, stop.signal]);
    await runBounded(
      wanted,
      ({ stats }) => Number(stats.size),
      async (file) => {
        if (both.aborted) return;
        try {
          await pushFile(file, both, report);
        } catch (error) {
          if (isFilesOwnFault(error)) report.fail(file.key, error);
          else stop.abort(error);
        }
      },
    );
    both.throwIfAborted();

    if (options.remove) await removeGone(local, signal, report);
    if (!report.isEmpty) {
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      const removed = report.removed > 0 ? `, ${report.removed} removed` : "";
      log.info(
        `volume "${volume}": ${report.files} files, ${(report.bytes / 1e6).toFixed(1)} MB pushed to "${place}" in ${seconds} s${removed}`,
      );
    }
    report.finish(told);
    return local;
  }

  async function pushFile({ key }: LocalFile, signal: AbortSignal, report: MirrorReport): Promise<void> {
    for (let tries = 1; ; tries++) {
      const open = tree.openFile(key);
      if (!open) return;
      const { fd, stats: before } = open;
      try {
        const sizeBytes = Number(before.size);
        const metadata = options.preserve ? formatFileAttributes(before) : {};
        const file = { path: pathOfDescriptor(fd), sizeBytes };
        const put = await bucket.put(prefix + key, file, { metadata, signal }).catch((error: unknown) => {
          if (tries < VOLUME_CHANGED_FILE_TRIES && isChangedFile(error)) return undefined;
          throw error;
        });
        if (!put) continue;
        // In any case it is ours by now: the next run may replace it.
        state.pair({ key, stats: before }, put.etag, "push");
        remote.set(key, { key: prefix + key, sizeBytes, modifiedMs: Date.now(), ...put });
        const isStill = fingerprintOf(fstatSync(fd, { bigint: true })) === fingerprintOf(before);
        if (!isStill && tries < VOLUME_CHANGED_FILE_TRIES) continue;
        if (!isStill) report.leaveOut(key, "it changes all the time, so what went up may be of two minds");
        report.files++;
        report.bytes += sizeBytes;
        return;
      } finally {
        closeSync(fd);
      }
    }
  }

  async function removeGone(local: LocalFiles, signal: AbortSignal, report: MirrorReport): Promise<void> {
    const gone = [...remote.keys()].filter(
      (key) =>
        !key.endsWith("/") &&
        !local.files.has(key) &&
        !isLeftAlone(key, options) &&
        (!isTwoWay || state.isKnown(key)),
    );
    await runBounded(
      gone,
      () => 0,
      async (key) => {
        try {
          await bucket.delete(prefix + key, { signal });
          remote.delete(key);
          state.forget(key);
          report.removed++;
        } catch (error) {
          report.fail(key, error as Error);
        }
      },
    );
    signal.throwIfAborted();
  }

  return {
    async pushAll({ signal }) {
      const report = new MirrorReport(what, log);
      remote = await listPlace(end, (key, why) => report.leaveOut(key, why), { signal });
      return push(signal, { report, isListed: true, isReady: () => true });
    },
    pushChanged: ({ signal, isReady }) =>
      push(signal, { report: new MirrorReport(what, log), isListed: false, isReady }),
  };
}

function isChangedFile(error: unknown): boolean {
  return error instanceof AgentError && error.code === "S3_FILE_CHANGED";
}
