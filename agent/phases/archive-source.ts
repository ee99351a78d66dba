/**
 * One archive of a URL on its way to a root driver: opened once, its progress told, its digest enforced.
 */
import type { ArchiveOpener } from "../net/archive-opener.ts";
import type { startProgress } from "../report/progress.ts";
import type { LayerSource, UnpackOptions } from "../root/root-driver.ts";
import type { PhaseContext } from "./phase-runner.ts";

export interface ArchiveAdapters {
  openArchive: ArchiveOpener;
  startProgress: typeof startProgress;
}

/** As the job names it: digests in lower-case hex. */
interface NamedArchive {
  url: string;
  sha256?: string;
  tableSha256?: string;
}

/** `title` begins every line of progress. */
export async function takeArchive<Taken>(
  { url, sha256, tableSha256 }: NamedArchive,
  title: string,
  { log, signal }: PhaseContext,
  { openArchive, startProgress }: ArchiveAdapters,
  take: (source: LayerSource, options: UnpackOptions) => Promise<Taken>,
): Promise<Taken> {
  const archive = openArchive(url, { isVerified: (sha256 ?? tableSha256) !== undefined });
  const progress = startProgress({ title, onLine: (line) => log.info(line) });
  let seenBytes = 0;
  const source: LayerSource = {
    async open() {
      const { sizeBytes, body } = await archive.open({ signal, hasDigest: sha256 !== undefined });
      if (sizeBytes !== undefined) progress.setTotal(sizeBytes);
      return body;
    },
    parts: { ...archive.parts, ...(tableSha256 && { tableDigest: `sha256:${tableSha256}` }) },
    ...(sha256 && { digest: `sha256:${sha256}` }),
  };
  try {
    return await take(source, {
      signal,
      onProgress: ({ bytesIn }) => {
        progress.add(bytesIn - seenBytes);
        seenBytes = bytesIn;
      },
      onReuse: (bytes, totalBytes) => {
        progress.setTotal(totalBytes);
        progress.reuse(bytes);
      },
    });
  } finally {
    progress.stop();
  }
}
