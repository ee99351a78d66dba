/**
 * `changes`: mirrors that follow their source until they are stopped. A failure is logged and retried; the complete run at the end
 * catches up.
 */
import { type FSWatcher, watch } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LIVE_MIRROR_LIMITS, type LiveMirrorLimits, VOLUME_WATCHES_MAX } from "./limits.ts";
import { fingerprintOf, type LocalFile, type LocalFiles } from "./local-files.ts";
import type { VolumeLog } from "./mirror-run.ts";
import type { PullMirror } from "./pull-mirror.ts";
import type { PushMirror } from "./push-mirror.ts";

export interface LiveMirrorOptions {
  volume: string;
  log: VolumeLog;
  /** Stops the mirror; the promise then resolves. */
  signal: AbortSignal;
  /** Runs the two directions of a volume one after the other. */
  inTurn<Result>(run: () => Promise<Result>): Promise<Result>;
  limits?: Partial<LiveMirrorLimits>;
}

export async function followFiles(
  mirror: PushMirror,
  dataPath: string,
  options: LiveMirrorOptions,
): Promise<void> {
  const limits = { ...LIVE_MIRROR_LIMITS, ...options.limits };
  const { signal, inTurn, log, volume } = options;
  const change = createSignal();
  const treeWatch = createTreeWatch(dataPath, change.raise);
  const stillness = createStillness(limits);
  let hasLoggedGap = false;
  let isListed = false;
  try {
    await repeat("push", options, limits, async () => {
      change.clear();
      const startedMs = performance.now();
      stillness.startRound();
      const run = (): Promise<LocalFiles> =>
        isListed ? mirror.pushChanged({ signal, isReady: stillness.isReady }) : mirror.pushAll({ signal });
      const { directories } = await inTurn(run);
      isListed = true;
      if (treeWatch.watchDirectories(directories)) change.raise();
      if (treeWatch.gap !== undefined && !hasLoggedGap) {
        hasLoggedGap = true;
        log.warn(
          `volume "${volume}": not all directories are watched (${treeWatch.gap}): scanning every ${limits.pollMs / 1000} s`,
        );
      }
      const tookMs = performance.now() - startedMs;
      await sleep(Math.max(limits.settleMs, tookMs / limits.scanShare), undefined, { signal });
      if (!stillness.hasWaiting)
        await change.wait(treeWatch.gap === undefined ? limits.rescanMs : limits.pollMs, signal);
    });
  } finally {
    treeWatch.close();
  }
}

/** Starts after the first complete pull. */
export async function followBucket(mirror: PullMirror, options: LiveMirrorOptions): Promise<void> {
  const limits = { ...LIVE_MIRROR_LIMITS, ...options.limits };
  const { signal, inTurn } = options;
  await repeat("pull", options, limits, async () => {
    await sleep(limits.pollMs, undefined, { signal });
    await inTurn(() => mirror.pullAll({ signal }));
  });
}

/** Repeats `round` until the signal, with a pause after a failure. */
async function repeat(
  verb: "push" | "pull",
  { volume, log, signal }: LiveMirrorOptions,
  limits: LiveMirrorLimits,
  round: () => Promise<unknown>,
): Promise<void> {
  let pauseMs = limits.retryFirstMs;
  let hasFailed = false;
  while (!signal.aborted) {
    try {
      await round();
      if (hasFailed) log.info(`volume "${volume}": the live ${verb} continues`);
      hasFailed = false;
      pauseMs = limits.retryFirstMs;
    } catch (error) {
      if (signal.aborted) return;
      hasFailed = true;
      const seconds = Math.ceil(pauseMs / 1000);
      log.warn(
        `volume "${volume}": the live ${verb} tries again in ${seconds} s: ${(error as Error).message}`,
      );
      await sleep(pauseMs, undefined, { signal }).catch(() => {});
      pauseMs = Math.min(2 * pauseMs, limits.retryMostMs);
    }
  }
}

/** A change that happens before the wait is not lost. */
function createSignal() {
  let isRaised = false;
  let wake: (() => void) | undefined;
  return {
    raise: () => {
      isRaised = true;
      wake?.();
    },
    clear: () => {
      isRaised = false;
    },
    async wait(mostMs: number, signal: AbortSignal): Promise<void> {
      if (isRaised) return;
      const over = new AbortController();
      wake = () => over.abort();
      try {
        await sleep(mostMs, undefined, { signal: AbortSignal.any([signal, over.signal]) });
      } catch {
        signal.throwIfAborted();
      } finally {
        wake = undefined;
      }
    },
  };
}

/** Postpones a file until two scans find it unchanged, at most for `busyFileMs`. */
function createStillness({ settleMs, busyFileMs }: Pick<LiveMirrorLimits, "settleMs" | "busyFileMs">) {
  let earlier = new Map<string, { fingerprint: string; sinceMs: number; firstMs: number }>();
  let waiting: typeof earlier = new Map();
  return {
    startRound() {
      earlier = waiting;
      waiting = new Map();
    },
    get hasWaiting() {
      return waiting.size > 0;
    },
    isReady: ({ key, stats }: LocalFile): boolean => {
      const nowMs = performance.now();
      const fingerprint = fingerprintOf(stats);
      const seen = earlier.get(key);
      const sinceMs = seen?.fingerprint === fingerprint ? seen.sinceMs : nowMs;
      const firstMs = seen?.firstMs ?? nowMs;
      if (seen && (nowMs - sinceMs >= settleMs * 0.9 || nowMs - firstMs >= busyFileMs)) return true;
      waiting.set(key, { fingerprint, sinceMs, firstMs });
      return false;
    },
  };
}

interface TreeWatch {
  /** Takes all present directories; true when one is new, so that its files may have appeared unseen. */
  watchDirectories(keys: readonly string[]): boolean;
  /** Why some directories are not watched. */
  readonly gap: string | undefined;
  close(): void;
}

/** One inotify watch per directory. A lost event only delays a file, because every look compares all files. */
function createTreeWatch(rootPath: string, onChange: () => void, maxWatches = VOLUME_WATCHES_MAX): TreeWatch {
  const watchers = new Map<string, FSWatcher>();
  let gap: string | undefined;

  const forget = (key: string) => {
    watchers.get(key)?.close();
    watchers.delete(key);
  };
  const add = (key: string): boolean => {
    try {
      const watcher = watch(join(rootPath, key), { persistent: false }, onChange);
      watcher.on("error", (error: Error) => {
        gap ??= error.message;
        forget(key);
        onChange();
      });
      watchers.set(key, watcher);
      return true;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      // Deleted since the scan.
      if (code !== "ENOENT" && code !== "ENOTDIR") gap ??= message;
      return false;
    }
  };

  return {
    watchDirectories(keys) {
      const present = new Set(keys);
      for (const key of [...watchers.keys()]) if (!present.has(key)) forget(key);
      let isNew = false;
      for (const key of keys) {
        if (watchers.has(key)) continue;
        if (watchers.size >= maxWatches) gap ??= `more than ${maxWatches} directories`;
        else if (add(key)) isNew = true;
      }
      return isNew;
    },
    get gap() {
      return gap;
    },
    close() {
      for (const key of [...watchers.keys()]) forget(key);
    },
  };
}
