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

/** Throws UPLOAD_INCOMPLETE, or the common error where no file could be uploaded. */
export function uploadResults(
  exitCode: number | null,
  phase: Pick<PhaseContext, "log" | "signal">,
  adapters: UploadAdapters,
): Promise<void> {
  return new Upload(phase, adapters).run(exitCode);
}

class Upload {
  readonly #phase: Pick<PhaseContext, "log" | "signal">;
  readonly #adapters: UploadAdapters;
  readonly #sent = new Map<string, ManifestEntry>();
  readonly #missing: { name: string; error: AgentError }[] = [];
  readonly #vanished: string[] = [];

  constructor(phase: Pick<PhaseContext, "log" | "signal">, adapters: UploadAdapters) {
    this.#phase = phase;
    this.#adapters = adapters;
  }

  async run(exitCode: number | null): Promise<void> {
    const { log, signal } = this.#phase;
    const { sender, bootId, hurriedRetry = HURRIED_RETRY } = this.#adapters;
    const { files, leftOut } = this.#adapters.listResults();
    for (const name of leftOut) log.warn(`upload: "${name}" is not a regular file and is not uploaded`);
    await this.#sendAll(files, hurriedRetry);
    for (const name of this.#vanished) log.warn(`upload: "${name}" was removed before it could be uploaded`);

    // After the phase's limit there is a little time left for the manifest and the verdict.
    const lastSignal = signal.aborted ? AbortSignal.timeout(LAST_RECORDS_LIMIT_MS) : signal;
    const options = { signal: lastSignal, retry: this.#missing.length > 0 ? hurriedRetry : undefined };
    const sendRecord = (name: string, text: string) => {
      const content = Buffer.from(text);
      return this.#send({ name, content, sizeBytes: content.length, stamp: "made" }, options);
    };
    if (this.#missing.length > 0)
      for (const file of files)
        if (LOG_NAMES.has(file.name) && this.#sent.has(file.name)) await this.#send(file, options);
    const present = new Set([...files.map(({ name }) => name), MANIFEST_NAME, VERDICT_NAME]);
    for (const name of this.#vanished) present.delete(name);
    const manifest = formatManifest({
      bootId,
      files: [...this.#sent.values()],
      leftOut,
      vanished: this.#vanished,
      removed: [...sender.sent.values()].filter(({ name }) => !present.has(name)),
      missing: this.#missing.map(({ name, error: { code, message } }) => ({
        name,
        code,
        message: hideSecrets(message),
      })),
    });
    await sendRecord(MANIFEST_NAME, manifest);
    const total = files.length - this.#vanished.length + 2;
    const failure = signal.aborted ? toAgentError(signal.reason) : this.#describeMissing(total);
    await sendRecord(VERDICT_NAME, this.#adapters.formatVerdictFile(exitCode, failure));

    const sentBytes = [...this.#sent.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const size = `${this.#sent.size} of ${total} files, ${formatMegabytes(sentBytes)} MB`;
    log.info(`upload: ${size} to ${sender.destination}`);
    const incomplete = this.#describeMissing(total);
    if (incomplete) throw incomplete;
  }

  async #sendAll(files: readonly ResultFile[], hurriedRetry: Partial<RetryLimits>): Promise<void> {
    const { log, signal } = this.#phase;
    const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
    const onLine = (line: string) => log.info(line);
    const progress = this.#adapters.startProgress({ title: "upload", totalBytes, onLine });
    // The smallest first: a core dump may use up all the time that there is.
    const waiting = files.toSorted((a, b) => a.sizeBytes - b.sizeBytes).values();
    let consecutive: AgentError[] = [];
    const sendNext = async () => {
      for (const file of waiting) {
        // A server that is down is not tried again for each of thousands of files.
        const isDown = consecutive.length >= UPLOAD_FAILURES_MAX && consecutive.every(isUnavailable);
        const known = signal.aborted ? toAgentError(signal.reason) : isDown ? consecutive.at(-1) : undefined;
        const retry = consecutive.length > 0 ? hurriedRetry : undefined;
        const error = known ? this.#addMissing(file, known) : await this.#send(file, { signal, retry });
        if (error) consecutive.push(error);
        else consecutive = [];
        progress.add(file.sizeBytes);
      }
    };
    try {
      await Promise.all(Array.from({ length: UPLOADS_AT_A_TIME }, sendNext));
    } finally {
      progress.stop();
    }
  }

  async #send(file: ResultFile, options: PutOptions): Promise<AgentError | undefined> {
    const { name } = file;
    try {
      const entry = await this.#adapters.sender.send(file, options);
      if (entry) this.#sent.set(name, entry);
      else if (!this.#sent.has(name)) this.#vanished.push(name);
      return undefined;
    } catch (thrown) {
      this.#sent.delete(name);
      return this.#addMissing(file, toAgentError(thrown));
    }
  }

  /** Logs only the first few. */
  #addMissing({ name }: ResultFile, error: AgentError): AgentError {
    this.#missing.push({ name, error });
    if (this.#missing.length <= UPLOAD_NAMED_FILES)
      this.#phase.log.warn(`upload: "${name}" is missing: ${error.code}: ${error.message}`);
    return error;
  }

  #describeMissing(total: number): AgentError | undefined {
    const missing = this.#missing;
    const [first] = missing;
    if (!first) return undefined;
    const isOneReason = missing.every(({ error }) => error.code === first.error.code);
    // No file was uploaded, always for the same reason: that is the error to correct.
    if (isOneReason && missing.length >= total - 1) return first.error;
    const names = missing.slice(0, UPLOAD_NAMED_FILES).map(({ name }) => `"${shorten(name, 60)}"`);
    const rest = missing.length - names.length;
    const verb = missing.length === 1 ? " is" : " are";
    const list = `${names.join(", ")}${rest > 0 ? ` and ${rest} more are` : verb} missing`;
    const what = `${missing.length} of ${total} files to "${this.#adapters.sender.destination}"`;
    return new AgentError(
      "UPLOAD_INCOMPLETE",
      `Cannot upload ${what}: ${list} (${shorten(first.error.message, 200)})`,
      { cause: first.error },
    );
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

/** Keeps both ends. */
const shorten = (text: string, length: number) => showValue(truncateMiddle(text, length));
