/**
 * The part of the test's output that a console cannot carry: its lines are counted, those that look like results are kept,
 * and so are the last ones, as one sees them when the burst is over.
 */
import { scanLines } from "./result-markers.ts";

/** In order: a line that is shown after all, with its line end, or how many are not. */
export type ElidedItem = { line: Buffer; droppedBytes: number } | { missingLines: number };

export interface ElidedLines {
  /** Whole lines; `droppedBytes` were not held of the one line that the block is then. */
  add(block: Buffer, droppedBytes: number): void;
  /** Everything so far, which begins anew: results, and of the last lines what fits into `tailBytes`, at least one line. */
  take(options: { tailBytes: number }): ElidedItem[];
}

export interface ElidedLinesOptions {
  /** Of results that wait; later ones are counted like other lines. */
  resultsMaxBytes: number;
}

interface Result {
  line: Buffer;
  droppedBytes: number;
  /** How many lines were left out before it. */
  index: number;
}

const LINE_END = 0x0a;
/** Lines of ours between results; more of those come without, for the results' sake. */
const GAPS_MAX = 20;
/** What is held of the last lines, however short the console's own wish is by then. */
const TAIL_MAX_BYTES = 64 * 1024;

export function createElidedLines({ resultsMaxBytes }: ElidedLinesOptions): ElidedLines {
  let lineCount = 0;
  let results: Result[] = [];
  let resultBytes = 0;
  let tail: Buffer[] = [];
  let tailBytes = 0;

  return {
    add(block, droppedBytes) {
      const scan = scanLines(block);
      for (const { start, end, index } of scan.results) {
        if (resultBytes + end - start > resultsMaxBytes) break;
        // A copy: the chunk it came in is some hundred times as large.
        const line = Buffer.from(block.subarray(start, end));
        results.push({ line, droppedBytes, index: lineCount + index });
        resultBytes += line.length;
      }
      lineCount += scan.lineCount;
      tail.push(block);
      tailBytes += block.length;
      while (tailBytes - tail[0]!.length >= TAIL_MAX_BYTES) tailBytes -= tail.shift()!.length;
    },
    take(options) {
      const last = options.tailBytes > 0 ? cutTail(Buffer.concat(tail), options.tailBytes) : [];
      const lastIndex = lineCount - last.length;
      const early = results.filter(({ index }) => index < lastIndex);
      const hasGaps = early.length <= GAPS_MAX;
      const items: ElidedItem[] = hasGaps ? [] : [{ missingLines: lastIndex - early.length }];
      let next = 0;
      for (const { line, droppedBytes, index } of early) {
        if (hasGaps) items.push({ missingLines: index - next });
        items.push({ line, droppedBytes });
        next = index + 1;
      }
      if (hasGaps) items.push({ missingLines: lastIndex - next });
      for (const line of last) items.push({ line, droppedBytes: 0 });
      lineCount = resultBytes = tailBytes = 0;
      results = [];
      tail = [];
      return items.filter((item) => "line" in item || item.missingLines > 0);
    },
  };
}

/** The last whole lines of `limitBytes`, at least one. */
function cutTail(bytes: Buffer, limitBytes: number): Buffer[] {
  const lines: Buffer[] = [];
  let end = bytes.length;
  while (end > 0) {
    const start = bytes.lastIndexOf(LINE_END, end - 2) + 1;
    if (lines.length > 0 && bytes.length - start > limitBytes) break;
    lines.push(bytes.subarray(start, end));
    end = start;
  }
  return lines.reverse();
}
