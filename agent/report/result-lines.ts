/**
 * Lines of a test's output that somebody waits for: they reach the console even when what is around them is left out.
 * Mesa's result (`hwci: mesa: …`), LAVA's signals and runner marks, GitLab's sections, CI-Tron's registration, TAP's failures.
 */

/** Where a line lies in its block, with its line end. */
export interface LineRange {
  start: number;
  end: number;
}

/**
 * Needles of at most seven bytes with a rare first one: those are found with the speed of memchr, 1.5 GB/s for all of them.
 * GitLab's sections are found by the end of their mark, which is the same for both kinds.
 */
const MARKS = ["hwci: ", "<LAVA_", "\r\x1b[0K", "MaRS: "].map((text) => Buffer.from(text));
/** At a line's start alone; indented in the subtests of KTAP. */
const TAP_FAILURE = Buffer.from("not ok ");
const LINE_END = 0x0a;
const SPACE = 0x20;

/** `block` holds whole lines. In order, each line once; most often there is none. */
export function findResultLines(block: Buffer): LineRange[] {
  const found: LineRange[] = [];
  const add = (at: number) => {
    const end = block.indexOf(LINE_END, at) + 1 || block.length;
    found.push({ start: block.lastIndexOf(LINE_END, at) + 1, end });
    return end;
  };
  for (const mark of MARKS) {
    for (let at = block.indexOf(mark); at !== -1; at = block.indexOf(mark, at)) at = add(at);
  }
  for (let at = block.indexOf(TAP_FAILURE); at !== -1; at = block.indexOf(TAP_FAILURE, at)) {
    at = isAtLineStart(block, at) ? add(at) : at + TAP_FAILURE.length;
  }
  if (found.length < 2) return found;
  found.sort((a, b) => a.start - b.start);
  return found.filter(({ start }, index) => index === 0 || start !== found[index - 1]!.start);
}

function isAtLineStart(block: Buffer, at: number): boolean {
  let before = at - 1;
  while (before >= 0 && block[before] === SPACE) before--;
  return before < 0 || block[before] === LINE_END;
}
