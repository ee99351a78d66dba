/**
 * Phase "upload": everything the test left in /results, with the log, to the S3 location the job names.
 * It is tried after a failed phase too; the verdict's record goes last, so that its presence says the rest is there.
 */
import type { S3Location } from "../job/job.ts";
import { UPLOADS_AT_A_TIME } from "../limits.ts";
import type { S3Body, S3Client } from "../net/s3.ts";
import type { startProgress } from "../report/progress.ts";
import type { ResultList } from "../report/results.ts";
import { formatMegabytes } from "../wire/megabytes.ts";
import type { PhaseContext } from "./phase-runner.ts";

const VERDICT_FILE_NAME = "verdict.json";

export interface UploadAdapters {
  s3: S3Client;
  listResults(): ResultList;
  /** The record as it is when all else is uploaded. */
  formatVerdictFile(exitCode: number | null): Buffer;
  startProgress: typeof startProgress;
}

export async function uploadResults(
  to: S3Location,
  exitCode: number | null,
  { log, signal }: PhaseContext,
  adapters: UploadAdapters,
): Promise<void> {
  const { files, leftOut } = adapters.listResults();
  for (const name of leftOut) log.warn(`upload: "${name}" is no regular file and stays on the DUT`);
  const totalBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const progress = adapters.startProgress({ title: "upload", totalBytes, onLine: (line) => log.info(line) });
  const put = async (name: string, body: S3Body) => {
    const key = to.prefix ? `${to.prefix}/${name}` : name;
    await adapters.s3.putObject({ bucket: to.bucket, key }, body, { signal });
  };
  try {
    const waiting = files.values();
    const putNext = async () => {
      for (const { name, path, sizeBytes } of waiting) {
        // A test may have left a file where ours goes; ours is the one that counts.
        if (name !== VERDICT_FILE_NAME) await put(name, { path, sizeBytes });
        progress.add(sizeBytes);
      }
    };
    await Promise.all(Array.from({ length: UPLOADS_AT_A_TIME }, putNext));
    await put(VERDICT_FILE_NAME, adapters.formatVerdictFile(exitCode));
  } finally {
    progress.stop();
  }
  log.info(
    `upload: ${files.length + 1} files, ${formatMegabytes(totalBytes)} MB to s3://${to.bucket}/${to.prefix}`,
  );
}
