/**
 * Finds the lines of a test's output that farms match: they reach the console even when the lines around them are left out.
 * Mesa's result (`hwci: mesa: …`), LAVA's signals and runner marks, GitLab's sections, CI-Tron's registration, TAP's failures.
 */

/** A line that is a result, in its block and with its line end. */
export interface ResultLine {
  start: number;
  end: number;
  /** Lines of the block before it. */
  index: number;
}

export interface LineScan {
  lineCount: number;
  /** In order, most often none. */
  results: ResultLine[];
}

/** GitLab's section start and section end share this end of their marker. */
const MARKERS = ["hwci: ", "<LAVA_", "\r\x1b[0K", "MaRS: "].map((text) => Buffer.from(text));
/** At a line's start only. */
const TAP_FAILURE = Buffer.from("not ok ");
const LINE_END = 0x0a;

/** Counts the lines of `block`, which holds whole lines, and finds the results among them. */
export function scanLines(block: Buffer): LineScan {
  const lineStartOf = (at: number) => (at === 0 ? 0 : block.lastIndexOf(LINE_END, at - 1) + 1);
  const starts = MARKERS.flatMap((marker) => findAll(block, marker).map(lineStartOf));
  starts.push(...findAll(block, TAP_FAILURE).filter((at) => lineStartOf(at) === at));
  const results: ResultLine[] = [];
  let lineCount = 0;
  let counted = 0;
  for (const start of [...new Set(starts)].sort((left, right) => left - right)) {
    lineCount += countLines(block.subarray(counted, start));
    counted = start;
    results.push({ start, end: block.indexOf(LINE_END, start) + 1 || block.length, index: lineCount });
  }
  return { lineCount: lineCount + countLines(block.subarray(counted)), results };
}

export function countLines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(LINE_END); at !== -1; at = bytes.indexOf(LINE_END, at + 1)) count++;
  return count;
}

function findAll(block: Buffer, text: Buffer): number[] {
  const found: number[] = [];
  for (let at = block.indexOf(text); at !== -1; at = block.indexOf(text, at + 1)) found.push(at);
  return found;
}
