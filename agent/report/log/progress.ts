/**
 * Progress for people: at most one line every few seconds while bytes arrive, so that a long pull never looks hung.
 * A job on a slow UART reads the same lines; they are short and rare on purpose.
 */

import { formatMegabytes } from "../../text.ts";
import { PROGRESS_INTERVAL_MS } from "../limits.ts";

export interface ProgressOptions {
  /** What is being done, such as `fetch`. */
  title: string;
  /** Absent where the sender did not say. */
  totalBytes?: number;
  onLine: (line: string) => void;
  intervalMs?: number;
}

export interface Progress {
  add(bytes: number): void;
  /** For a total that is only known later. */
  setTotal(bytes: number): void;
  /** So many of the total are here already and will not come. */
  reuse(bytes: number): void;
  stop(): void;
}

export function startProgress({ title, onLine, intervalMs, ...options }: ProgressOptions): Progress {
  const startedAt = performance.now();
  let { totalBytes } = options;
  let doneBytes = 0;
  let reusedBytes = 0;
  const timer = setInterval(() => {
    const left = totalBytes === undefined ? undefined : Math.max(doneBytes, totalBytes - reusedBytes);
    const line = formatProgress(doneBytes, left, performance.now() - startedAt);
    const reused = reusedBytes === 0 ? "" : `, ${formatMegabytes(reusedBytes)} MB here already`;
    onLine(`${title}: ${line}${reused}`);
  }, intervalMs ?? PROGRESS_INTERVAL_MS);
  timer.unref();
  return {
    add: (bytes) => {
      doneBytes += bytes;
    },
    setTotal: (bytes) => {
      totalBytes = bytes;
    },
    reuse: (bytes) => {
      reusedBytes += bytes;
    },
    stop: () => clearInterval(timer),
  };
}

/** `41.0 of 212.0 MB (19 %), 10.2 MB/s, 17 s left`; what is not known is left out. */
export function formatProgress(doneBytes: number, totalBytes: number | undefined, elapsedMs: number): string {
  const bytesPerSecond = elapsedMs > 0 ? (doneBytes * 1000) / elapsedMs : 0;
  const rate = `${formatMegabytes(bytesPerSecond)} MB/s`;
  if (totalBytes === undefined || totalBytes === 0) return `${formatMegabytes(doneBytes)} MB, ${rate}`;
  const percent = Math.floor((doneBytes * 100) / totalBytes);
  const left = bytesPerSecond > 0 ? `, ${Math.ceil((totalBytes - doneBytes) / bytesPerSecond)} s left` : "";
  return `${formatMegabytes(doneBytes)} of ${formatMegabytes(totalBytes)} MB (${percent} %), ${rate}${left}`;
}
