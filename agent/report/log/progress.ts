/**
 * Progress of a transfer in the log: a short line every few seconds, so that a long pull never looks hung and a slow UART can carry it.
 */
import { formatMegabytes } from "../../text.ts";
import { PROGRESS_INTERVAL_MS } from "../limits.ts";

export interface ProgressOptions {
  /** What is being done, such as `fetch`. */
  title: string;
  /** undefined when the server does not say. */
  totalBytes?: number;
  onLine: (line: string) => void;
  intervalMs?: number;
}

export type Progress = ReturnType<typeof startProgress>;

export function startProgress({ title, onLine, intervalMs, ...options }: ProgressOptions) {
  const startedAt = performance.now();
  let { totalBytes } = options;
  let doneBytes = 0;
  let reusedBytes = 0;
  const timer = setInterval(() => {
    const toFetch = totalBytes === undefined ? undefined : Math.max(doneBytes, totalBytes - reusedBytes);
    const line = formatProgress(doneBytes, toFetch, performance.now() - startedAt);
    const reused = reusedBytes === 0 ? "" : `, ${formatMegabytes(reusedBytes)} MB reused`;
    onLine(`${title}: ${line}${reused}`);
  }, intervalMs ?? PROGRESS_INTERVAL_MS);
  timer.unref();
  return {
    add(bytes: number) {
      doneBytes += bytes;
    },
    /** For a total that becomes known later. */
    setTotal(bytes: number) {
      totalBytes = bytes;
    },
    /** This much of the total is stored already and is not fetched. */
    reuse(bytes: number) {
      reusedBytes += bytes;
    },
    stop: () => clearInterval(timer),
  };
}

/** `41.0 of 212.0 MB (19 %), 10.2 MB/s, 17 s left`, without the parts that are unknown. */
export function formatProgress(doneBytes: number, totalBytes: number | undefined, elapsedMs: number): string {
  const bytesPerSecond = elapsedMs > 0 ? (doneBytes * 1000) / elapsedMs : 0;
  const rate = `${formatMegabytes(bytesPerSecond)} MB/s`;
  if (totalBytes === undefined || totalBytes === 0) return `${formatMegabytes(doneBytes)} MB, ${rate}`;
  const percent = Math.floor((doneBytes * 100) / totalBytes);
  const left = bytesPerSecond > 0 ? `, ${Math.ceil((totalBytes - doneBytes) / bytesPerSecond)} s left` : "";
  return `${formatMegabytes(doneBytes)} of ${formatMegabytes(totalBytes)} MB (${percent} %), ${rate}${left}`;
}
