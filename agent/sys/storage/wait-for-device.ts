/**
 * Waits for a device node of the job's: drivers and network block devices make theirs in their own time.
 */
import { statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { DEVICE_POLL_MS } from "../limits.ts";

/** Throws an Error that says so when there is none after `waitMs`; the signal's reason when it was aborted. */
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
