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
  /** On the cache device; absent where the store is in RAM, which cannot hold a swap file. Emptied at each start. */
  folder?: string;
  busybox?: string;
  swappinessPath?: string;
  /** A failure is logged and the job continues, as boot2container's jobs do. */
  isOptional?: boolean;
}

export interface EnabledSwap {
  /** To be called before the cache device is unmounted; reads the swapped pages back. */
  release(): Promise<void>;
}

const NO_SWAP: EnabledSwap = { release: async () => {} };

/** Throws MACHINE_SWAP_FAILED. A swap file without a folder is only a warning, as in boot2container. */
export async function enableSwap(swap: Swap, options: SwapOptions): Promise<EnabledSwap> {
  const { log, folder, busybox = "busybox" } = options;
  const path = "device" in swap ? swap.device : folder === undefined ? undefined : join(folder, "swapfile");
  if (path === undefined) {
    log.warn("machine: NO SWAP: a file for it needs a cache device");
    return NO_SWAP;
  }
  const run = (...args: string[]) => runTool([busybox, ...args], { timeoutMs: SWAP_COMMAND_MS });
  try {
    if ("device" in swap) await waitForDevice(path, { waitMs: SWAP_DEVICE_WAIT_MS, ...options });
    else await makeFile(path, swap.sizeBytes, run);
    const content = "device" in swap ? await readSignature(path) : undefined;
    if (content === undefined) await run("mkswap", path);
    else if (content !== "swap") throw new Error(`it contains ${content}, which is not overwritten`);
    await run("swapon", path);
    if (swap.swappiness !== undefined) {
      writeFileSync(options.swappinessPath ?? "/proc/sys/vm/swappiness", `${swap.swappiness}\n`);
    }
  } catch (cause) {
    if (!("device" in swap)) rmSync(path, { force: true });
    options.signal?.throwIfAborted();
    const message = `Cannot swap to "${path}": ${(cause as Error).message}`;
    if (!options.isOptional) throw new AgentError("MACHINE_SWAP_FAILED", message, { cause });
    log.warn(`machine: NO SWAP: ${message}`);
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
        log.warn(`machine: swapping to ${path} cannot be stopped: ${(error as Error).message}`);
      }
    },
  };
}

/** The type that blkid finds; undefined for none. */
async function readSignature(device: string): Promise<string | undefined> {
  // Exit code 2: nothing found.
  const argv = ["sh", "-c", 'blkid -p -s TYPE -s PTTYPE -o value "$1" || [ $? = 2 ]', "sh", device] as const;
  const [first] = (await runTool(argv)).trim().split("\n");
  return first || undefined;
}

/** Without holes, which the kernel refuses; readable by root only, because it will contain memory. */
async function makeFile(path: string, sizeBytes: number, run: (...args: string[]) => Promise<string>) {
  if (existsSync(path)) rmSync(path);
  writeFileSync(path, "", { mode: 0o600 });
  await run("fallocate", "-l", String(sizeBytes), path);
}
