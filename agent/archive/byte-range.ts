/**
 * Ranges of a file's bytes. They are half-open, [start, end), everywhere but in HTTP headers, which `agent/net` reads and writes.
 */

export interface ByteRange {
  start: number;
  /** Exclusive; `Infinity` stands for the end of the file. */
  end: number;
}

/** Bytes of a file, from `offset` on. */
export interface RangePiece {
  offset: number;
  bytes: Buffer;
}

/** Joins ranges that are at most `gapBytes` apart. They must be sorted by `start`. */
export function mergeRanges(sorted: readonly ByteRange[], gapBytes: number): ByteRange[] {
  const ranges: ByteRange[] = [];
  for (const { start, end } of sorted) {
    const last = ranges.at(-1);
    if (last !== undefined && start - last.end <= gapBytes) last.end = Math.max(last.end, end);
    else ranges.push({ start, end });
  }
  return ranges;
}
