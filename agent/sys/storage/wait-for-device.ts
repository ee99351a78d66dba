import { statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { DEVICE_POLL_MS } from "../limits.ts";

/** Waits for a block device that a driver creates later. Throws an Error after `waitMs`, or the signal's reason. */
export async function waitForDevice(
  path: string,
  { waitMs, signal }: { waitMs: number; signal?: AbortSignal },
): Promise<void> {
  const until = performance.now() + waitMs;
  while (!statSync(path, { throwIfNoEntry: false })?.isBlockDevice()) {
    signal?.throwIfAborted();
    if (performance.now() > until) throw new Error(`no such block device after ${waitMs / 1000} s`);
    await sleep(DEVICE_POLL_MS);
  }
}
