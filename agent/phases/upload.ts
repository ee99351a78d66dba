/**
 * Phase "upload": everything the test left in /results, with the log, to the place that the job names.
 * It is tried after a failed phase too; the verdict's record goes last, so that its presence says the rest is there.
 */
import { UPLOADS_AT_A_TIME } from "../limits.ts";
import type { ResultsUploader } from "../net/put-results.ts";
import type { startProgress } from "../report/progress.ts";
import type { ResultList } from "../report/results.ts";
import { formatMegabytes } from "../wire/megabytes.ts";
import type { PhaseContext } from "./phase-runner.ts";

const VERDICT_FILE_NAME = "verdict.json";

export interface UploadAdapters {
  uploader: ResultsUploader;
  listResults(): ResultList;
  /** The record as it is when all else is uploaded. */
  formatVerdictFile(exitCode: number | null): Buffer;
  startProgress: typeof startProgress;
}

export async function uploadResults(
  exitCode: number | null,
  { log, signal }: PhaseContext,
  adapters: UploadAdapters,
): Promise<void> {
  const { uploader } = adapters;
  const { files, leftOut } = adapters.listResults();
  for (const name of leftOut) log.warn(`upload: "${name}" is no regular file and stays on the DUT`);
  const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const progress = adapters.startProgress({ title: "upload", totalBytes, onLine: (line) => log.info(line) });
  try {
    const waiting = files.values();
    const putNext = async () => {
      for (const file of waiting) {
        const { name, sizeBytes } = file;
        const body = "content" in file ? file.content : file;
        // A test may have left a file where ours goes; ours is the one that counts.
        if (name !== VERDICT_FILE_NAME) await uploader.put(name, body, { signal });
        progress.add(sizeBytes);
      }
    };
    await Promise.all(Array.from({ length: UPLOADS_AT_A_TIME }, putNext));
    await uploader.put(VERDICT_FILE_NAME, adapters.formatVerdictFile(exitCode), { signal });
  } finally {
    progress.stop();
  }
  log.info(`upload: ${files.length + 1} files, ${formatMegabytes(totalBytes)} MB to ${uploader.place}`);
}
