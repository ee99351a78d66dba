/**
 * `kernel.log` among the results: every message of the kernel in this boot, also those that the console does not show.
 * It is written as they come, so that it is there up to the last second before a hang.
 */
import { KERNEL_LOG_FILE_POLL_MS } from "../limits.ts";
import type { AgentFiles } from "../results/agent-files.ts";
import { followKernelLog, type KernelLogFollower, type KernelLogOptions } from "./kernel-log.ts";

export interface KernelLogFileOptions extends Pick<KernelLogOptions, "path" | "clean"> {
  files: AgentFiles;
  warn(message: string): void;
}

/** Where there is no kernel log to read, that is told and nothing follows it. */
export function keepKernelLog({ files, warn, ...options }: KernelLogFileOptions): KernelLogFollower {
  try {
    const file = files.openLog("kernel.log", (error) => warn(`"kernel.log" is cut short: ${error.message}`));
    return followKernelLog({
      ...options,
      isWhole: true,
      pollMs: KERNEL_LOG_FILE_POLL_MS,
      onLine: (line) => file.write(`${line}\n`),
    });
  } catch (error) {
    warn(`results: there will be no "kernel.log": ${(error as Error).message}`);
    return { readNow() {}, stop() {} };
  }
}
