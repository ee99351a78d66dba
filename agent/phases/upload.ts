/**
 * Phase "upload": sends everything in /results, the agent's files included, to the destination that the job names. All files are
 * tried; then the manifest lists what was uploaded and what is missing. The verdict is uploaded last and marks the end.
 */
import { AgentError, type ErrorCode, toAgentError } from "../errors.ts";
import type { RetryLimits } from "../net/limits.ts";
import type { PutOptions } from "../net/uploads/results-uploader.ts";
import { hideSecrets, showValue } from "../redaction/patterns.ts";
import type { startProgress } from "../report/log/progress.ts";
import type { ResultFile, ResultList } from "../report/results/list-results.ts";
import { formatMegabytes, truncateMiddle } from "../text.ts";
import { formatManifest, type ManifestEntry } from "../wire/results-manifest.ts";
import {
  HURRIED_RETRY,
  LAST_RECORDS_LIMIT_MS,
  UPLOAD_FAILURES_MAX,
  UPLOAD_NAMED_FILES,
  UPLOADS_AT_A_TIME,
} from "./limits.ts";
import type { PhaseContext } from "./phase-runner.ts";
import type { ResultsSender } from "./results-sender.ts";

const MANIFEST_NAME = "manifest.json";
const VERDICT_NAME = "verdict.json";
/** Sent again after a failure, as they say why a file is missing. */
const LOG_NAMES = new Set(["dutboot.log", "events.jsonl"]);

export interface UploadAdapters {
  sender: ResultsSender;
  bootId: string;
  listResults(): ResultList;
  /** Called when all other files are uploaded; `failure` is that of the upload. */
  formatVerdictFile(exitCode: number | null, failure?: AgentError): string;
  startProgress: typeof startProgress;
  /** For the files after one that could not be sent. */
  hurriedRetry?: Partial<RetryLimits>;
}

type MissingFile = { name: string; error: AgentError };

/** Throws UPLOAD_INCOMPLETE, or the common error where no file could be uploaded. */
export async function uploadResults(
  exitCode: number | null,
  { log, signal }: Pick<PhaseContext, "log" | "signal">,
  adapters: UploadAdapters,
): Promise<void> {
  const { sender, hurriedRetry = HURRIED_RETRY } = adapters;
  const { files, leftOut } = adapters.listResults();
  for (const name of leftOut) log.warn(`upload: "${name}" is not a regular file and is not uploaded`);
  const { sent, missing, vanished } = await sendAll(files, { log, signal }, adapters);
  for (const name of vanished) log.warn(`upload: "${name}" was removed before it could be uploaded`);

  // After the phase's limit there is a little time left for the manifest and the verdict.
  const lastSignal = signal.aborted ? AbortSignal.timeout(LAST_RECORDS_LIMIT_MS) : signal;
  const options = { signal: lastSignal, retry: missing.length > 0 ? hurriedRetry : undefined };
  const sendRecord = async (name: string, text: string) => {
    const content = Buffer.from(text);
    try {
      const record = { name, content, sizeBytes: content.length, stamp: "made" };
      sent.push((await sender.send(record, options))!);
    } catch (thrown) {
      addMissing({ name, error: toAgentError(thrown) }, missing, log);
    }
  };
  if (missing.length > 0) await sendLogsAgain(files, { sent, missing }, sender, { ...options, log });
  const present = new Set([...files.map(({ name }) => name), MANIFEST_NAME, VERDICT_NAME]);
  for (const name of vanished) present.delete(name);
  const removed = [...sender.sent.values()].filter(({ name }) => !present.has(name));
  await sendRecord(
    MANIFEST_NAME,
    formatManifest({
      bootId: adapters.bootId,
      files: [...sent],
      leftOut,
      vanished,
      removed,
      missing: missing.map(({ name, error: { code, message } }) => ({
        name,
        code,
        message: hideSecrets(message),
      })),
    }),
  );
  const total = files.length - vanished.length + 2;
  const failure = signal.aborted
    ? toAgentError(signal.reason)
    : describeMissing(missing, total, sender.place);
  await sendRecord(VERDICT_NAME, adapters.formatVerdictFile(exitCode, failure));

  const sentBytes = sent.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  log.info(`upload: ${sent.length} of ${total} files, ${formatMegabytes(sentBytes)} MB to ${sender.place}`);
  const incomplete = describeMissing(missing, total, sender.place);
  if (incomplete) throw incomplete;
}

interface SentFiles {
  sent: ManifestEntry[];
  missing: MissingFile[];
  vanished: string[];
}

async function sendAll(
  files: readonly ResultFile[],
  { log, signal }: Pick<PhaseContext, "log" | "signal">,
  { sender, startProgress, hurriedRetry = HURRIED_RETRY }: UploadAdapters,
): Promise<SentFiles> {
  const outcome: SentFiles = { sent: [], missing: [], vanished: [] };
  const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const progress = startProgress({ title: "upload", totalBytes, onLine: (line) => log.info(line) });
  // The smallest first: a core dump may use up all the time that there is.
  const waiting = files.toSorted((a, b) => a.sizeBytes - b.sizeBytes).values();
  let consecutive: AgentError[] = [];
  const sendNext = async () => {
    for (const file of waiting) {
      const { name } = file;
      try {
        signal.throwIfAborted();
        // A server that is down is not tried again for each of thousands of files.
        if (consecutive.length >= UPLOAD_FAILURES_MAX && consecutive.every(isUnavailable))
          throw consecutive.at(-1);
        const retry = consecutive.length > 0 ? hurriedRetry : undefined;
        const entry = await sender.send(file, { signal, retry });
        consecutive = [];
        if (entry) outcome.sent.push(entry);
        else outcome.vanished.push(name);
      } catch (thrown) {
        const error = toAgentError(thrown);
        consecutive.push(error);
        addMissing({ name, error }, outcome.missing, log);
      }
      progress.add(file.sizeBytes);
    }
  };
  try {
    await Promise.all(Array.from({ length: UPLOADS_AT_A_TIME }, sendNext));
  } finally {
    progress.stop();
  }
  return outcome;
}

async function sendLogsAgain(
  files: readonly ResultFile[],
  { sent, missing }: Pick<SentFiles, "sent" | "missing">,
  sender: ResultsSender,
  { log, ...options }: PutOptions & Pick<PhaseContext, "log">,
): Promise<void> {
  for (const file of files) {
    const at = sent.findIndex(({ name }) => name === file.name);
    if (!LOG_NAMES.has(file.name) || at === -1) continue;
    const [before] = sent.splice(at, 1);
    try {
      sent.push((await sender.send(file, options)) ?? before!);
    } catch (thrown) {
      addMissing({ name: file.name, error: toAgentError(thrown) }, missing, log);
    }
  }
}

const UNAVAILABLE = new Set<ErrorCode>([
  "FETCH_INTERRUPTED",
  "FETCH_STALLED",
  "FETCH_UNREACHABLE",
  "HTTP_SERVER_ERROR",
  "NFS_UNREACHABLE",
  "S3_SERVER_ERROR",
]);

const isUnavailable = ({ code }: AgentError) => UNAVAILABLE.has(code);

/** Logs only the first few. */
function addMissing(file: MissingFile, missing: MissingFile[], log: PhaseContext["log"]): void {
  missing.push(file);
  if (missing.length <= UPLOAD_NAMED_FILES)
    log.warn(`upload: "${file.name}" is missing: ${file.error.code}: ${file.error.message}`);
}

function describeMissing(
  missing: readonly MissingFile[],
  total: number,
  place: string,
): AgentError | undefined {
  const [first] = missing;
  if (!first) return undefined;
  const isOneReason = missing.every(({ error }) => error.code === first.error.code);
  // No file was uploaded, always for the same reason: that is the error to correct.
  if (isOneReason && missing.length >= total - 1) return first.error;
  const names = missing.slice(0, UPLOAD_NAMED_FILES).map(({ name }) => `"${shorten(name, 60)}"`);
  const rest = missing.length - names.length;
  const verb = missing.length === 1 ? " is" : " are";
  const list = `${names.join(", ")}${rest > 0 ? ` and ${rest} more are` : verb} missing`;
  return new AgentError(
    "UPLOAD_INCOMPLETE",
    `Cannot upload ${missing.length} of ${total} files to "${place}": ${list} (${shorten(first.error.message, 200)})`,
    { cause: first.error },
  );
}

/** Keeps both ends. */
function shorten(text: string, length: number): string {
  return showValue(truncateMiddle(text, length));
}
