/**
 * The part of the test's output that exceeds a console's rate: its lines are counted, those that farms match are kept, and so are the
 * last lines, which a user sees when the burst is over.
 */
import { scanLines } from "./result-markers.ts";

/** In order: a line that is shown after all, with its line end, or how many are not. */
export type ElidedItem = { line: Buffer; droppedBytes: number } | { missingLines: number };

interface Result {
  line: Buffer;
  droppedBytes: number;
  /** How many lines were elided before it. */
  index: number;
}

const LINE_END = 0x0a;
/** Notes about gaps between results; with more gaps there is one note before all results. */
const GAPS_MAX = 20;
/** What is kept of the last lines. */
const TAIL_MAX_BYTES = 64 * 1024;

export class ElidedLines {
  readonly #resultsMaxBytes: number;
  #lineCount = 0;
  #results: Result[] = [];
  #resultBytes = 0;
  #tail: Buffer[] = [];
  #tailBytes = 0;

  /** Results beyond `resultsMaxBytes` are counted like other lines. */
  constructor({ resultsMaxBytes }: { resultsMaxBytes: number }) {
    this.#resultsMaxBytes = resultsMaxBytes;
  }

  /** `block`: whole lines, or a single line from which `droppedBytes` are missing. */
  add(block: Buffer, droppedBytes: number): void {
    const { lineCount, results } = scanLines(block);
    for (const { start, end, index } of results) {
      if (this.#resultBytes + end - start > this.#resultsMaxBytes) break;
      // A copy: the chunk that it is part of is some hundred times as large.
      const line = Buffer.from(block.subarray(start, end));
      this.#results.push({ line, droppedBytes, index: this.#lineCount + index });
      this.#resultBytes += line.length;
    }
    this.#lineCount += lineCount;
    this.#tail.push(block);
    this.#tailBytes += block.length;
    while (this.#tailBytes - this.#tail[0]!.length >= TAIL_MAX_BYTES)
      this.#tailBytes -= this.#tail.shift()!.length;
  }

  /** Removes and returns everything: results, and of the last lines what fits into `tailBytes`, at least one unless that is 0. */
  take({ tailBytes }: { tailBytes: number }): ElidedItem[] {
    const last = tailBytes > 0 ? cutTail(Buffer.concat(this.#tail), tailBytes) : [];
    const lastIndex = this.#lineCount - last.length;
    const early = this.#results.filter(({ index }) => index < lastIndex);
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
    this.#lineCount = this.#resultBytes = this.#tailBytes = 0;
    this.#results = [];
    this.#tail = [];
    return items.filter((item) => "line" in item || item.missingLines > 0);
  }
}

/** The last whole lines within `limitBytes`, at least one. */
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
