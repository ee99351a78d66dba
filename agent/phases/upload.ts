/**
 * Phase "upload": everything the test left in /results, with our files, to the place that the job names. All files are tried;
 * then the manifest says what is there and what is missing, and the verdict's record goes last: it stands for the end of it all.
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
  UPLOAD_TOLD_FILES,
  UPLOADS_AT_A_TIME,
} from "./limits.ts";
import type { PhaseContext } from "./phase-runner.ts";
import type { ResultsSender } from "./results-sender.ts";

const MANIFEST_NAME = "manifest.json";
const VERDICT_NAME = "verdict.json";
/** What says why a file is missing goes up once more behind it. */
const LOG_NAMES = new Set(["dutboot.log", "events.jsonl"]);

export interface UploadAdapters {
  sender: ResultsSender;
  bootId: string;
  listResults(): ResultList;
  /** The record as it is when all else is uploaded; `failure` is the upload's own. */
  formatVerdictFile(exitCode: number | null, failure?: AgentError): string;
  startProgress: typeof startProgress;
  /** Of further files once one could not be sent. */
  hurriedRetry?: Partial<RetryLimits>;
}

type MissingFile = { name: string; error: AgentError };

/** Throws UPLOAD_INCOMPLETE, or what was wrong with every single file where nothing could be uploaded for one reason. */
export async function uploadResults(
  exitCode: number | null,
  { log, signal }: Pick<PhaseContext, "log" | "signal">,
  adapters: UploadAdapters,
): Promise<void> {
  const { sender, hurriedRetry = HURRIED_RETRY } = adapters;
  const { files, leftOut } = adapters.listResults();
  for (const name of leftOut) log.warn(`upload: "${name}" is no regular file and stays on the DUT`);
  const { sent, missing, vanished } = await sendAll(files, { log, signal }, adapters);
  for (const name of vanished) log.warn(`upload: "${name}" was removed before it could be uploaded`);

  // Behind the phase's limit there still is a little time, for what says what is missing.
  const lastSignal = signal.aborted ? AbortSignal.timeout(LAST_RECORDS_LIMIT_MS) : signal;
  const options = { signal: lastSignal, ...(missing.length > 0 && { retry: hurriedRetry }) };
  const sendRecord = async (name: string, text: string) => {
    const content = Buffer.from(text);
    try {
      const record = { name, content, sizeBytes: content.length, stamp: "made" };
      sent.push((await sender.send(record, options))!);
    } catch (thrown) {
      note({ name, error: toAgentError(thrown) }, missing, log);
    }
  };
  if (missing.length > 0) await sendLogsAgain(files, { sent, missing }, sender, { ...options, log });
  const lying = new Set([...files.map(({ name }) => name), MANIFEST_NAME, VERDICT_NAME]);
  for (const name of vanished) lying.delete(name);
  const removed = [...sender.sent.values()].filter(({ name }) => !lying.has(name));
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
  // The small first: a core dump that takes all the time there is must not keep the log from going out.
  const waiting = files.toSorted((a, b) => a.sizeBytes - b.sizeBytes).values();
  /** Why files in a row, whichever they were, did not get there. */
  let inARow: AgentError[] = [];
  const sendNext = async () => {
    for (const file of waiting) {
      const { name } = file;
      try {
        signal.throwIfAborted();
        // A place that is gone is not waited for once more for each of thousands of files.
        if (inARow.length >= UPLOAD_FAILURES_MAX && inARow.every(isAway)) throw inARow.at(-1);
        const isHurried = inARow.length > 0;
        const entry = await sender.send(file, { signal, ...(isHurried && { retry: hurriedRetry }) });
        inARow = [];
        if (entry) outcome.sent.push(entry);
        else outcome.vanished.push(name);
      } catch (thrown) {
        const error = toAgentError(thrown);
        inARow.push(error);
        note({ name, error }, outcome.missing, log);
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

/** Where one cannot be sent, what was sent before may still lie there; nobody can say so. */
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
      note({ name: file.name, error: toAgentError(thrown) }, missing, log);
    }
  }
}

const AWAY = new Set<ErrorCode>([
  "FETCH_INTERRUPTED",
  "FETCH_STALLED",
  "FETCH_UNREACHABLE",
  "HTTP_SERVER_ERROR",
  "NFS_UNREACHABLE",
  "S3_SERVER_ERROR",
]);

const isAway = ({ code }: AgentError) => AWAY.has(code);

/** The first few are told as they fail; the others would only repeat it. */
function note(file: MissingFile, missing: MissingFile[], log: PhaseContext["log"]): void {
  missing.push(file);
  if (missing.length <= UPLOAD_TOLD_FILES)
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
  // Nothing is there, and always for the same reason: that is what somebody has to correct.
  if (isOneReason && missing.length >= total - 1) return first.error;
  const names = missing.slice(0, UPLOAD_TOLD_FILES).map(({ name }) => `"${shorten(name, 60)}"`);
  const rest = missing.length - names.length;
  const verb = missing.length === 1 ? " is" : " are";
  const told = `${names.join(", ")}${rest > 0 ? ` and ${rest} more are` : verb} missing`;
  return new AgentError(
    "UPLOAD_INCOMPLETE",
    `Cannot upload ${missing.length} of ${total} files to "${place}": ${told} (${shorten(first.error.message, 200)})`,
    { cause: first.error },
  );
}

/** Both ends of what would make the verdict's line too long to read; the manifest has the whole. */
function shorten(text: string, length: number): string {
  return showValue(truncateMiddle(text, length));
}
