/** Waits for block devices. */
import { statSync } from "node:fs";
import { DEVICE_POLL_MS } from "../limits.ts";
import { pollUntil } from "../waits.ts";

/** Waits for a block device that a driver creates later. Throws an Error after `waitMs`, or the signal's reason. */
export async function waitForDevice(
  path: string,
  { waitMs, signal }: { waitMs: number; signal?: AbortSignal },
): Promise<void> {
  const isThere = () => statSync(path, { throwIfNoEntry: false })?.isBlockDevice() ?? false;
  if (!(await pollUntil(isThere, { waitMs, pollMs: DEVICE_POLL_MS, signal })))
    throw new Error(`no such block device after ${waitMs / 1000} s`);
}
