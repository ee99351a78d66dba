/**
 * Swap for tests that need more memory than the board has: a file on the cache device, or a block device, by busybox's tools.
 */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AgentError } from "../../errors.ts";
import type { Swap } from "../../job/machine-settings.ts";
import { SWAP_COMMAND_MS, SWAP_DEVICE_WAIT_MS } from "../limits.ts";
import { runTool } from "../run-tool.ts";
import type { SysLog } from "../sys-log.ts";
import { waitForDevice } from "./wait-for-device.ts";

export interface SwapOptions {
  log: SysLog;
  signal?: AbortSignal;
  /** On the cache device, emptied at each start; absent where the store lies in RAM: no file can be swapped to there. */
  folder?: string;
  busybox?: string;
  swappinessPath?: string;
  /** The job goes on without it, as those of boot2container do: what is wrong is told and no error. */
  isOptional?: boolean;
}

export interface EnabledSwap {
  /** Before the cache device is unmounted; reads back into memory what was swapped out. */
  release(): Promise<void>;
}

const NO_SWAP: EnabledSwap = { release: async () => {} };

/** Throws MACHINE_SWAP_FAILED. Without a folder a file is told to be left out, as boot2container does, and it is no error. */
export async function enableSwap(swap: Swap, options: SwapOptions): Promise<EnabledSwap> {
  const { log, folder, busybox = "busybox" } = options;
  const path = "device" in swap ? swap.device : folder === undefined ? undefined : join(folder, "swapfile");
  if (path === undefined) {
    log.warn("machine: NO SWAP: a file for it needs a cache device");
    return NO_SWAP;
  }
  const run = (...words: string[]) => runTool([busybox, ...words], { timeoutMs: SWAP_COMMAND_MS });
  try {
    if ("device" in swap) await waitForDevice(path, { waitMs: SWAP_DEVICE_WAIT_MS, ...options });
    else await makeFile(path, swap.sizeBytes, run);
    const content = "device" in swap ? await readSignature(path) : undefined;
    if (content === undefined) await run("mkswap", path);
    else if (content !== "swap") throw new Error(`it holds ${content}, which is left alone`);
    await run("swapon", path);
    if (swap.swappiness !== undefined) {
      writeFileSync(options.swappinessPath ?? "/proc/sys/vm/swappiness", `${swap.swappiness}\n`);
    }
  } catch (cause) {
    if (!("device" in swap)) rmSync(path, { force: true });
    options.signal?.throwIfAborted();
    const what = `Cannot swap to "${path}": ${(cause as Error).message}`;
    if (!options.isOptional) throw new AgentError("MACHINE_SWAP_FAILED", what, { cause });
    log.warn(`machine: NO SWAP: ${what}`);
    return NO_SWAP;
  }
  const size = "sizeBytes" in swap ? `, ${(swap.sizeBytes / 1e6).toFixed(0)} MB` : "";
  log.info(`machine: swap on ${path}${size}`);
  return {
    async release() {
      try {
        await run("swapoff", path);
        if (!("device" in swap)) rmSync(path, { force: true });
      } catch (error) {
        log.warn(`machine: ${path} stays in use for swap: ${(error as Error).message}`);
      }
    },
  };
}

/** What blkid takes the device for; undefined for nothing that it knows. */
async function readSignature(device: string): Promise<string | undefined> {
  // It ends with 2 where there is nothing.
  const words = ["sh", "-c", 'blkid -p -s TYPE -s PTTYPE -o value "$1" || [ $? = 2 ]', "sh", device] as const;
  const [first] = (await runTool(words)).trim().split("\n");
  return first || undefined;
}

/** Without holes, which the kernel refuses to swap to; nobody else may read what was in memory. */
async function makeFile(path: string, sizeBytes: number, run: (...words: string[]) => Promise<string>) {
  if (existsSync(path)) rmSync(path);
  writeFileSync(path, "", { mode: 0o600 });
  await run("fallocate", "-l", String(sizeBytes), path);
}
