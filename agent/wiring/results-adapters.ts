/**
 * Where a job's results lie and where they go: the place that the job names, and how all of the folder gets there.
 */
import { AgentError } from "../errors.ts";
import type { NfsExport, ResultsDestination } from "../job/job.ts";
import type { HttpClient } from "../net/http/http-message.ts";
import type { S3Client } from "../net/s3/client.ts";
import { createNfsResults } from "../net/uploads/nfs-results.ts";
import { createPutResults } from "../net/uploads/put-results.ts";
import type { ResultsUploader } from "../net/uploads/results-uploader.ts";
import { createS3Results } from "../net/uploads/s3-results.ts";
import { PATHS } from "../paths.ts";
import type { PhaseRunner } from "../phases/phase-runner.ts";
import { createResultsSender } from "../phases/results-sender.ts";
import type { UploadAdapters } from "../phases/upload.ts";
import type { Redaction } from "../redaction/redaction.ts";
import type { Log } from "../report/log/log.ts";
import type { LogFile } from "../report/log/log-file.ts";
import { startProgress } from "../report/log/progress.ts";
import type { AgentFiles } from "../report/results/agent-files.ts";
import { takeSnapshot } from "../report/results/file-snapshot.ts";
import type { Credentials } from "../sys/machine/credentials.ts";
import { readUptimeMs } from "../sys/machine/uptime.ts";
import { createVerdict } from "../wire/verdict.ts";
import type { NfsClient } from "./nfs-client.ts";
import { describePartial, PARTIAL_NAME } from "./results-sync.ts";

export interface ResultsTools {
  runner: PhaseRunner;
  log: Log;
  files: AgentFiles;
  bootId: string;
  redaction: Redaction;
  credentials: Credentials;
  http: HttpClient;
  nfs: NfsClient;
  /** Where results on an NFS server are mounted. */
  directory?: string;
}

export async function createResultsAdapters(
  to: ResultsDestination,
  s3: S3Client | undefined,
  tools: ResultsTools,
): Promise<UploadAdapters> {
  const { runner, log, files, bootId, redaction } = tools;
  const uploader = await createUploader(to, s3, tools);
  const warn = (message: string) => log.warn(message);
  const sender = createResultsSender({ uploader, takeSnapshot, warn });
  return {
    bootId,
    sender,
    listResults() {
      const list = files.list();
      // The one that went out while the test ran says otherwise.
      const state = { bootId, phase: "upload", uptimeMs: readUptimeMs(), complete: true };
      if (sender.sent.has(PARTIAL_NAME)) list.files.push(describePartial(state));
      return list;
    },
    startProgress,
    formatVerdictFile(exitCode, failure) {
      const ofUpload = failure && { phase: "upload", error: failure };
      const verdict = createVerdict(
        { bootId, records: runner.records, firstFailure: runner.firstFailure ?? ofUpload },
        exitCode,
      );
      return `${JSON.stringify(redaction.cleanValue(verdict), null, 2)}\n`;
    },
  };
}

/** A test that left no room for its log runs without it. */
export function openStepLog(
  name: string,
  { files, log }: Pick<ResultsTools, "files" | "log">,
): LogFile | undefined {
  const warn = (error: Error) => log.warn(`results: "${name}" is cut short: ${error.message}`);
  try {
    return files.openLog(name, warn);
  } catch (error) {
    warn(error as Error);
    return undefined;
  }
}

export async function createUploader(
  to: ResultsDestination,
  s3: S3Client | undefined,
  { http, credentials, redaction, nfs, directory = PATHS.resultsExport }: ResultsTools,
): Promise<ResultsUploader> {
  if ("nfs" in to) {
    const mount = (place: NfsExport, target: string) => nfs.mount(place, target, { isWritable: true });
    return createNfsResults(to.nfs, { directory, mount });
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
