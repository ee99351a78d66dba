/**
 * What is saved at intervals while the test runs: the results that have changed, and whatever else must not wait for its end.
 */
import type { Job } from "../job/job.ts";
import { RESULTS_SYNC_MS } from "../job/limits.ts";
import { type ResultsSync, type SyncHook, startResultsSync } from "../phases/sync-results.ts";
import type { UploadAdapters } from "../phases/upload.ts";
import type { Log } from "../report/log/log.ts";
import type { AgentFiles } from "../report/results/agent-files.ts";
import type { ResultFile } from "../report/results/list-results.ts";
import { readUptimeMs } from "../sys/machine/uptime.ts";

export const PARTIAL_NAME = "partial.json";

export interface SyncTools {
  log: Log;
  files: AgentFiles;
  bootId: string;
  /** Run at each turn before the results go out, also where they go nowhere. */
  syncHooks: readonly SyncHook[];
}

export function startJobSync(
  { limits }: Pick<Job, "limits">,
  results: Pick<UploadAdapters, "sender"> | undefined,
  { log, files, bootId, syncHooks }: SyncTools,
): ResultsSync {
  const intervalMs = limits.syncMs ?? RESULTS_SYNC_MS;
  if (intervalMs === 0 || (!results && syncHooks.length === 0)) return { stop: async () => {} };
  return startResultsSync({
    intervalMs,
    hooks: syncHooks,
    ...(results && {
      results: {
        sender: results.sender,
        listFiles: () => files.listDuringTest().files,
        describePartial: () =>
          describePartial({ bootId, phase: "run", uptimeMs: readUptimeMs(), complete: false }),
      },
    }),
    warn: (message) => log.warn(message),
    info: (message) => log.info(message),
  });
}

interface PartialState {
  bootId: string;
  phase: string;
  uptimeMs: number;
  complete: boolean;
}

/** `partial.json`: as long as it is not complete, the machine is at work or came to no end. */
export function describePartial(state: PartialState): ResultFile {
  const content = Buffer.from(`${JSON.stringify({ version: 1, ...state })}\n`);
  return { name: PARTIAL_NAME, content, sizeBytes: content.length, stamp: "made" };
}
