/**
 * Pushes a volume's files to S3: what the bucket lacks, what differs where that is allowed, and removals where they are asked for.
 * A file that changes while it goes up goes up again; symlinks and special files are logged and not followed.
 */
import { closeSync, fstatSync } from "node:fs";
import { AgentError } from "../errors.ts";
import { pathOfDescriptor } from "../kernel/syscalls.ts";
import { formatFileAttributes } from "./file-attributes.ts";
import { VOLUME_CHANGED_FILE_TRIES } from "./limits.ts";
import { fingerprintOf, type LocalFile, type LocalFiles } from "./local-files.ts";
import {
  listObjects,
  type MirrorContext,
  type MirrorEnd,
  MirrorReport,
  runBounded,
  transferFiles,
} from "./mirror-run.ts";
import type { BucketObject } from "./object-bucket.ts";
import { isExcluded } from "./object-bucket.ts";

/**
 * Why a push must not remove or replace objects that this boot did not write: the volume may lack what the bucket has. undefined: it may.
 */
export type FindGap = () => string | undefined;

export interface PushMirror {
  /** Compares all files with a new listing. Throws S3_*, VOLUME_MIRROR_FAILED. */
  pushAll(options: { signal: AbortSignal }): Promise<LocalFiles>;
  /** Compares with the last listing and this boot's own pushes; `isReady` may postpone a file. */
  pushChanged(options: { signal: AbortSignal; isReady: (file: LocalFile) => boolean }): Promise<LocalFiles>;
}

interface PushRound {
  report: MirrorReport;
  /** The listing was made in this round. */
  isListed: boolean;
  isReady: (file: LocalFile) => boolean;
}

export function createPushMirror(
  end: MirrorEnd,
  context: MirrorContext,
  {
    isTwoWay,
    isPulled,
    findGap,
  }: {
    /** The same location is pulled from at the same time: changes there are not undone. */
    isTwoWay: boolean;
    /** The same location is pulled from: what no pull or push of this boot has seen in the volume is not removed. */
    isPulled: boolean;
    findGap: FindGap;
  },
): PushMirror {
  const { volume, tree, state, options, log } = context;
  const { bucket, prefix, location } = end;
  const action = `push volume "${volume}" to "${location}"`;
  const logged = new Set<string>();
  let remote = new Map<string, BucketObject>();

  async function push(signal: AbortSignal, { report, isListed, isReady }: PushRound): Promise<LocalFiles> {
    const local = await tree.scan({ signal });
    for (const { name, why } of local.skipped) if (!isExcluded(name, options.exclude)) report.skip(name, why);

    const gap = findGap();
    const wanted: LocalFile[] = [];
    for (const file of local.files.values()) {
      signal.throwIfAborted();
      if (isExcluded(file.key, options.exclude)) continue;
      const object = remote.get(file.key);
      // An older listing does not contradict what was the same after it.
      if (state.isUntouched(file) && (!isListed || (isTwoWay && object))) continue;
      const difference = await state.compare(file, object, "push");
      // This boot's own objects follow their files; otherwise a live mirror would keep only a log's first lines.
      const mayReplace = (options.overwrite && gap === undefined) || state.isMadeBy("push", file.key);
      if (difference === "same") continue;
      if (difference === "differs" && !mayReplace)
        report.skip(file.key, `it differs, and ${options.overwrite ? gap : "overwrite is not set"}`);
      else if (isReady(file)) wanted.push(file);
    }

    await transferFiles(wanted, (file, both) => pushFile(file, both, report), {
      sizeOf: ({ stats }) => Number(stats.size),
      report,
      signal,
    });

    if (options.remove) await removeDeleted(local, { gap, signal, report });
    report.logSummary(volume, `pushed to "${location}"`);
    report.finish(logged);
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
        state.claim(key);
        const put = await bucket.put(prefix + key, file, { metadata, signal }).catch((error: unknown) => {
          if (tries < VOLUME_CHANGED_FILE_TRIES && isChangedFile(error)) return undefined;
          throw error;
        });
        if (!put) continue;
        // The object is ours now, so the next run may replace it.
        state.pair({ key, stats: before }, put.etag, "push");
        remote.set(key, { key: prefix + key, sizeBytes, modifiedMs: Date.now(), ...put });
        const isStill = fingerprintOf(fstatSync(fd, { bigint: true })) === fingerprintOf(before);
        if (!isStill && tries < VOLUME_CHANGED_FILE_TRIES) continue;
        if (!isStill) report.skip(key, "it keeps changing, so the upload may be inconsistent");
        report.files++;
        report.bytes += sizeBytes;
        return;
      } finally {
        closeSync(fd);
      }
    }
  }

  async function removeDeleted(
    local: LocalFiles,
    { gap, signal, report }: { gap: string | undefined; signal: AbortSignal; report: MirrorReport },
  ): Promise<void> {
    const deleted: string[] = [];
    for (const key of remote.keys()) {
      if (key.endsWith("/") || local.files.has(key) || isExcluded(key, options.exclude)) continue;
      if (gap !== undefined && !state.isMadeBy("push", key))
        report.skip(key, `it is not removed, because ${gap}`);
      else if (local.skipped.some(({ name }) => key === name || key.startsWith(`${name}/`)))
        report.skip(key, "it is not removed, because the volume has something else in its place");
      else if ((isTwoWay || isPulled) && !state.isKnown(key))
        report.skip(key, "it is not removed, because it was never in the volume");
      else deleted.push(key);
    }
    await runBounded(
      deleted,
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
      const report = new MirrorReport(action, log);
      remote = await listObjects(end, (key, why) => report.skip(key, why), { signal });
      return push(signal, { report, isListed: true, isReady: () => true });
    },
    pushChanged: ({ signal, isReady }) =>
      push(signal, { report: new MirrorReport(action, log), isListed: false, isReady }),
  };
}

function isChangedFile(error: unknown): boolean {
  return error instanceof AgentError && error.code === "S3_FILE_CHANGED";
}
