/**
 * Phase "upload": everything the test left in /results, with the log, to the S3 location the job names.
 * It is tried after a failed phase too; the verdict's record goes last, so that its presence says the rest is there.
 */
import type { S3Location } from "../job/job.ts";
import { UPLOADS_AT_A_TIME } from "../limits.ts";
import type { S3Client } from "../net/s3.ts";
import type { startProgress } from "../report/progress.ts";
import type { ResultFile, ResultList } from "../report/results.ts";
import { formatMegabytes } from "../wire/megabytes.ts";
import type { PhaseContext } from "./phase-runner.ts";

export interface UploadAdapters {
  s3: S3Client;
  listResults(): ResultList;
  /** Written among the results when all else is uploaded. */
  writeVerdictFile(exitCode: number | null): ResultFile;
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
  const put = async (file: ResultFile) => {
    const key = to.prefix ? `${to.prefix}/${file.name}` : file.name;
    await adapters.s3.putObject(
      { bucket: to.bucket, key },
      { path: file.path, sizeBytes: file.sizeBytes },
      { signal },
    );
    progress.add(file.sizeBytes);
  };
  try {
    const waiting = files.values();
    const putNext = async () => {
      for (const file of waiting) await put(file);
    };
    await Promise.all(Array.from({ length: UPLOADS_AT_A_TIME }, putNext));
    await put(adapters.writeVerdictFile(exitCode));
  } finally {
    progress.stop();
  }
  log.info(
    `upload: ${files.length + 1} files, ${formatMegabytes(totalBytes)} MB to s3://${to.bucket}/${to.prefix}`,
  );
}
