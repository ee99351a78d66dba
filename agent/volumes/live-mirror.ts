/**
 * `changes`: mirrors that follow their source until they are stopped. They never end by themselves: a failure is told and tried
 * again, and what they miss is left to the complete run at the end.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { createTreeWatch } from "./inotify-watch.ts";
import { LIVE_MIRROR_LIMITS, type LiveMirrorLimits } from "./limits.ts";
import { fingerprintOf, type LocalFile, type LocalFiles } from "./local-files.ts";
import type { VolumeLog } from "./mirror-run.ts";
import type { PullMirror } from "./pull-mirror.ts";
import type { PushMirror } from "./push-mirror.ts";

export interface LiveMirrorOptions {
  volume: string;
  log: VolumeLog;
  /** Stops the mirror; the promise then resolves. */
  signal: AbortSignal;
  /** Keeps the two directions of one volume apart. */
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
  const watch = createTreeWatch(dataPath, change.raise);
  const stillness = createStillness(limits);
  let toldGap = false;
  let isListed = false;
  try {
    await keepOn("push", options, limits, async () => {
      change.clear();
      const startedMs = performance.now();
      stillness.startRound();
      const run = (): Promise<LocalFiles> =>
        isListed ? mirror.pushChanged({ signal, isReady: stillness.isReady }) : mirror.pushAll({ signal });
      const { directories } = await inTurn(run);
      isListed = true;
      if (watch.watchDirectories(directories).isNew) change.raise();
      if (watch.gap !== undefined && !toldGap) {
        toldGap = true;
        log.warn(
          `volume "${volume}": not all directories are watched (${watch.gap}): looking every ${limits.pollMs / 1000} s`,
        );
      }
      const tookMs = performance.now() - startedMs;
      await sleep(Math.max(limits.settleMs, tookMs / limits.scanShare), undefined, { signal });
      if (!stillness.hasWaiting)
        await change.wait(watch.gap === undefined ? limits.rescanMs : limits.pollMs, signal);
    });
  } finally {
    watch.close();
  }
}

/** The first pull is done, and told as a failure of the boot, before this starts. */
export async function followBucket(mirror: PullMirror, options: LiveMirrorOptions): Promise<void> {
  const limits = { ...LIVE_MIRROR_LIMITS, ...options.limits };
  const { signal, inTurn } = options;
  await keepOn("pull", options, limits, async () => {
    await sleep(limits.pollMs, undefined, { signal });
    await inTurn(() => mirror.pullAll({ signal }));
  });
}

/** Round after round until the signal; failures are told, and waited after. */
async function keepOn(
  verb: "push" | "pull",
  { volume, log, signal }: LiveMirrorOptions,
  limits: LiveMirrorLimits,
  round: () => Promise<void>,
): Promise<void> {
  let pauseMs = limits.retryFirstMs;
  let hasFailed = false;
  while (!signal.aborted) {
    try {
      await round();
      if (hasFailed) log.info(`volume "${volume}": the live ${verb} goes on`);
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

/** Remembers that something happened until somebody waits for it. */
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

/** Puts files off until two looks found them the same, but not for ever. */
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
