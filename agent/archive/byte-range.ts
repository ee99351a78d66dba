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

/** Reads ranges of one file, wherever it is. */
export interface RangeReader {
  /** The last bytes of the file (all of a shorter one) and its size; undefined when the server knows no ranges. */
  readTail(
    sizeBytes: number,
    options?: { signal?: AbortSignal },
  ): Promise<{ bytes: Buffer; totalBytes: number } | undefined>;
  /**
   * The bytes of all ranges, which must be sorted and not overlap; the bytes of one range come in order.
   * Throws FETCH_NO_RANGES when the server knows no ranges, and the errors of the network.
   */
  readRanges(ranges: readonly ByteRange[], options?: { signal?: AbortSignal }): AsyncIterable<RangePiece>;
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

/** Chunks of a file from `start` on, with their offsets. */
export async function* locatePieces(
  chunks: AsyncIterable<Buffer>,
  start: number,
): AsyncGenerator<RangePiece> {
  let offset = start;
  for await (const bytes of chunks) {
    yield { offset, bytes };
    offset += bytes.length;
  }
}
