/**
 * One archive of a URL on its way to a root driver: opened once, its progress told, its digest enforced.
 */

import type { ArchiveOpener } from "../net/archives/archive-opener.ts";
import { hideSecrets } from "../redaction/patterns.ts";
import type { startProgress } from "../report/log/progress.ts";
import type { LayerSource, UnpackOptions } from "../root/root-driver.ts";
import type { EventBody } from "../wire/event.ts";
import type { PhaseContext } from "./phase-runner.ts";
import { startTransfer } from "./transfer.ts";

export interface ArchiveAdapters {
  openArchive: ArchiveOpener;
  startProgress: typeof startProgress;
  emit: (event: EventBody) => void;
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
  { openArchive, startProgress, emit }: ArchiveAdapters,
  take: (source: LayerSource, options: UnpackOptions) => Promise<Taken>,
): Promise<Taken> {
  const archive = openArchive(url, { isVerified: (sha256 ?? tableSha256) !== undefined });
  const progress = startProgress({ title, onLine: (line) => log.info(line) });
  const name = hideSecrets(url.split("/").at(-1) ?? url);
  const transfer = startTransfer({ kind: "archive", name }, { progress, emit });
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
      onProgress: transfer.onProgress,
      onReuse: (bytes, totalBytes) => {
        progress.setTotal(totalBytes);
        transfer.onReuse(bytes, totalBytes);
      },
    });
  } finally {
    transfer.end();
    progress.stop();
  }
}
