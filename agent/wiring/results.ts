/**
 * The results of a job: where they go, how they are sent while the test runs and at its end, and the raw logs of the steps.
 */
import { AgentError } from "../errors.ts";
import type { Job, NfsExport, ResultsDestination } from "../job/job.ts";
import { RESULTS_SYNC_MS } from "../job/limits.ts";
import { createNfsResults } from "../net/uploads/nfs-results.ts";
import { createPutResults } from "../net/uploads/put-results.ts";
import type { ResultsUploader } from "../net/uploads/results-uploader.ts";
import { createS3Results } from "../net/uploads/s3-results.ts";
import { PATHS } from "../paths.ts";
import { createResultsSender } from "../phases/results-sender.ts";
import { type ResultsSync, startResultsSync } from "../phases/sync-results.ts";
import type { UploadAdapters } from "../phases/upload.ts";
import type { LogFile } from "../report/log/log-file.ts";
import { startProgress } from "../report/log/progress.ts";
import { takeSnapshot } from "../report/results/file-snapshot.ts";
import type { ResultFile } from "../report/results/list-results.ts";
import { readUptimeMs } from "../sys/machine/uptime.ts";
import { createVerdict } from "../wire/verdict.ts";
import type { BootContext } from "./boot-context.ts";
import type { Connection } from "./connection.ts";

export const PARTIAL_NAME = "partial.json";

export async function createResultsAdapters(
  to: ResultsDestination,
  connection: Connection,
  context: BootContext,
): Promise<UploadAdapters> {
  const { runner, files, bootId, redaction, warn } = context;
  const uploader = await createUploader(to, connection, context);
  const sender = createResultsSender({ uploader, takeSnapshot, warn });
  return {
    bootId,
    sender,
    listResults() {
      const list = files.list();
      // Replaces the one that was sent while the test ran.
      const state = { bootId, phase: "upload", uptimeMs: readUptimeMs(), complete: true };
      if (sender.sent.has(PARTIAL_NAME)) list.files.push(describePartial(state));
      return list;
    },
    startProgress,
    formatVerdictFile(exitCode, error) {
      const firstFailure = runner.firstFailure ?? (error && { phase: "upload", error });
      const verdict = createVerdict({ bootId, records: runner.records, firstFailure }, exitCode);
      return `${JSON.stringify(redaction.cleanValue(verdict), null, 2)}\n`;
    },
  };
}

/** `mountPoint`: for results on an NFS server. */
export async function createUploader(
  to: ResultsDestination,
  { http, s3, nfs }: Connection,
  { credentials, redaction }: Pick<BootContext, "credentials" | "redaction">,
  mountPoint: string = PATHS.resultsExport,
): Promise<ResultsUploader> {
  if ("nfs" in to) {
    const mount = (location: NfsExport, target: string) => nfs.mount(location, target, { isWritable: true });
    return createNfsResults(to.nfs, { directory: mountPoint, mount });
  }
  if ("put" in to) {
    const token = (await credentials.read("results-token"))?.toString().trim();
    redaction.hide(token ?? "");
    return createPutResults(http, { prefix: to.put, token });
  }
  if (!s3)
    throw new AgentError("CMDLINE_MISSING_OPTION", "Cannot upload the results: the job names no S3 service");
  return createS3Results(s3, to.s3);
}

/** Saves at intervals, while the test runs, the results that have changed and whatever `syncHooks` save. */
export function startJobSync(
  { limits }: Pick<Job, "limits">,
  results: Pick<UploadAdapters, "sender"> | undefined,
  { log, warn, files, bootId, syncHooks }: BootContext,
): ResultsSync {
  const intervalMs = limits.syncMs ?? RESULTS_SYNC_MS;
  if (intervalMs === 0 || (!results && syncHooks.length === 0)) return { stop: async () => {} };
  return startResultsSync({
    intervalMs,
    hooks: syncHooks,
    results: results && {
      sender: results.sender,
      listFiles: () => files.listDuringTest().files,
      describePartial: () =>
        describePartial({ bootId, phase: "run", uptimeMs: readUptimeMs(), complete: false }),
    },
    warn,
    info: (message) => log.info(message),
  });
}

interface PartialState {
  bootId: string;
  phase: string;
  uptimeMs: number;
  complete: boolean;
}

/** `partial.json`: while it says `complete: false`, the machine is running or stopped without an end. */
export function describePartial(state: PartialState): ResultFile {
  const content = Buffer.from(`${JSON.stringify({ version: 1, ...state })}\n`);
  return { name: PARTIAL_NAME, content, sizeBytes: content.length, stamp: "made" };
}

/** undefined where the test left no room for the log. */
export function openStepLog(name: string, { files, warn }: BootContext): LogFile | undefined {
  const onError = (error: Error) => warn(`results: "${name}" is cut short: ${error.message}`);
  try {
    return files.openLog(name, onError);
  } catch (error) {
    onError(error as Error);
    return undefined;
  }
}
