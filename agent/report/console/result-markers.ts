/**
 * Lines of a test's output that somebody waits for: they reach the console even when what is around them is left out.
 * Mesa's result (`hwci: mesa: …`), LAVA's signals and runner marks, GitLab's sections, CI-Tron's registration, TAP's failures.
 */
import { createWordSurvey } from "../../kernel/scan-lines.ts";

/** A line that is a result, in its block and with its line end. */
export interface ResultLine {
  start: number;
  end: number;
  /** Lines of the block before it. */
  index: number;
}

export interface LineSurvey {
  lineCount: number;
  /** In order, most often none. */
  results: ResultLine[];
}

/** GitLab's sections are told by the end of their mark, which is the same for both kinds. */
const MARKS = ["hwci: ", "<LAVA_", "\r\x1b[0K", "MaRS: "];
/** At a line's start alone. */
const TAP_FAILURE = "not ok ";
const LINE_END = 0x0a;

const survey = createWordSurvey([...MARKS, `\n${TAP_FAILURE}`].map((text) => Buffer.from(text)));

/** Counts the lines of `block`, which are whole, and finds the results among them. */
export function surveyLines(block: Buffer): LineSurvey {
  const { lines, places } = survey(block);
  if (block.toString("latin1", 0, TAP_FAILURE.length) === TAP_FAILURE) places.unshift({ at: 0, lines: 0 });
  const results: ResultLine[] = [];
  let seenUntil = 0;
  for (const { at, lines } of places) {
    const isBefore = block[at] === LINE_END;
    const from = isBefore ? at + 1 : at;
    if (from < seenUntil) continue;
    const end = block.indexOf(LINE_END, from) + 1 || block.length;
    results.push({
      start: block.lastIndexOf(LINE_END, from) + 1,
      end,
      index: isBefore ? lines + 1 : lines,
    });
    seenUntil = end;
  }
  return { lineCount: lines, results };
}
