/**
 * Sends files of the results, each as it is at one moment, until the place has just these bytes; and knows what it has.
 */
import { AgentError, toAgentError } from "../errors.ts";
import type { PutOptions, ResultsUploader } from "../net/uploads/results-uploader.ts";
import type { takeSnapshot } from "../report/results/file-snapshot.ts";
import type { ResultFile } from "../report/results/list-results.ts";
import type { ManifestEntry } from "../wire/results-manifest.ts";
import { RESULT_TRIES } from "./limits.ts";

export interface SendOptions extends PutOptions {
  /** How often a file that changes on its way is taken anew. */
  tries?: number;
}

export interface ResultsSender {
  readonly place: string;
  /** What the place has for certain, by name. */
  readonly sent: ReadonlyMap<string, ManifestEntry>;
  /** undefined for a file that is gone. Throws why the place does not have it. */
  send(file: ResultFile, options: SendOptions): Promise<ManifestEntry | undefined>;
}

export interface ResultsSenderOptions {
  uploader: ResultsUploader;
  takeSnapshot: typeof takeSnapshot;
  warn(message: string): void;
}

/** Another try from the file's present state on can help. */
const WORTH_ANOTHER = new Set(["UPLOAD_FILE_CHANGED", "UPLOAD_MISMATCH", "S3_FILE_CHANGED"]);

export function createResultsSender({ uploader, takeSnapshot, warn }: ResultsSenderOptions): ResultsSender {
  const sent = new Map<string, ManifestEntry>();

  /** undefined where the file changed under our hands. */
  const sendOnce = async (
    file: ResultFile,
    options: PutOptions,
  ): Promise<ManifestEntry | "gone" | "changed"> => {
    const snapshot = await takeSnapshot(file);
    if (!snapshot) return "gone";
    try {
      const { name, sizeBytes, sha256 } = snapshot;
      const entry = { name, sizeBytes, sha256 };
      if (sent.get(name)?.sha256 === sha256) return entry;
      // From here on, and until the place says so, nobody knows what it has.
      sent.delete(name);
      await uploader.put(snapshot, options);
      if (!(await snapshot.isUnchanged())) return "changed";
      sent.set(name, entry);
      return entry;
    } finally {
      snapshot.close();
    }
  };

  return {
    place: uploader.place,
    sent,
    async send(file, { tries = RESULT_TRIES, ...options }) {
      for (let tried = 1; ; tried++) {
        try {
          const outcome = await sendOnce(file, options);
          if (outcome === "gone") return undefined;
          if (outcome !== "changed") return outcome;
          throw new AgentError(
            "UPLOAD_FILE_CHANGED",
            `Cannot upload "${file.name}": it keeps changing on its way`,
          );
        } catch (thrown) {
          options.signal.throwIfAborted();
          const error = toAgentError(thrown);
          if (tried >= tries || !WORTH_ANOTHER.has(error.code)) throw error;
          warn(`upload: "${file.name}" is sent again: ${error.message}`);
        }
      }
    },
  };
}
