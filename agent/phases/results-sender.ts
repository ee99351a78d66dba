/** Uploads files of the results, each from a snapshot, and keeps track of what the destination has. */
import { AgentError, toAgentError } from "../errors.ts";
import type { PutOptions, ResultsUploader } from "../net/uploads/results-uploader.ts";
import type { takeSnapshot } from "../report/results/file-snapshot.ts";
import type { ResultFile } from "../report/results/list-results.ts";
import type { ManifestEntry } from "../wire/results-manifest.ts";
import { RESULT_TRIES } from "./limits.ts";

export interface SendOptions extends PutOptions {
  /** How often a file that changes during its upload is tried. */
  tries?: number;
}

export interface ResultsSender {
  readonly destination: string;
  /** What the destination is known to have, by name. */
  readonly sent: ReadonlyMap<string, ManifestEntry>;
  /** undefined for a file that no longer exists. Throws the error of the upload. */
  send(file: ResultFile, options: SendOptions): Promise<ManifestEntry | undefined>;
}

export interface ResultsSenderOptions {
  uploader: ResultsUploader;
  takeSnapshot: typeof takeSnapshot;
  warn(message: string): void;
}

/** Errors that another snapshot can solve. */
const RETRIABLE = new Set(["UPLOAD_FILE_CHANGED", "UPLOAD_MISMATCH", "S3_FILE_CHANGED"]);

export function createResultsSender({ uploader, takeSnapshot, warn }: ResultsSenderOptions): ResultsSender {
  const sent = new Map<string, ManifestEntry>();

  const sendOnce = async (file: ResultFile, options: PutOptions): Promise<ManifestEntry | undefined> => {
    const snapshot = await takeSnapshot(file);
    if (!snapshot) return undefined;
    try {
      const { name, sizeBytes, sha256 } = snapshot;
      const entry = { name, sizeBytes, sha256 };
      if (sent.get(name)?.sha256 === sha256) return entry;
      // Until the upload is confirmed, it is not known what the destination has.
      sent.delete(name);
      await uploader.put(snapshot, options);
      if (!(await snapshot.isUnchanged()))
        throw new AgentError("UPLOAD_FILE_CHANGED", `Cannot upload "${name}": it changes during the upload`);
      sent.set(name, entry);
      return entry;
    } finally {
      snapshot.close();
    }
  };

  return {
    destination: uploader.destination,
    sent,
    async send(file, { tries = RESULT_TRIES, ...options }) {
      for (let tried = 1; ; tried++) {
        try {
          return await sendOnce(file, options);
        } catch (thrown) {
          options.signal.throwIfAborted();
          const error = toAgentError(thrown);
          if (tried >= tries || !RETRIABLE.has(error.code)) throw error;
          warn(`upload: "${file.name}" is sent again: ${error.message}`);
        }
      }
    },
  };
}
