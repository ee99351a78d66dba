/**
 * Lines of a test's output that somebody waits for: they reach the console even when the rest is elided.
 * Mesa's result (`hwci: mesa: …`), LAVA's signals and runner marks, GitLab's sections.
 */

const RESULT_LINE = /hwci: |<LAVA_|section_(?:start|end):/;
/** Of a line that is still open; results are short, and what is longer is none. */
const OPEN_LINE_MAX_BYTES = 4096;

export interface ResultLineFilter {
  /** Of output that is left out: the result lines in it, whole, with their line ends; most often nothing. */
  filter(chunk: Buffer): Buffer;
}

export function createResultLineFilter(): ResultLineFilter {
  let open = "";
  return {
    filter(chunk) {
      // latin1 keeps every byte as it is.
      const lines = (open + chunk.toString("latin1")).split("\n");
      const last = lines.pop()!;
      open = last.length > OPEN_LINE_MAX_BYTES ? "" : last;
      const kept = lines.filter((line) => RESULT_LINE.test(line)).map((line) => `${line}\n`);
      return Buffer.from(kept.join(""), "latin1");
    },
  };
}
