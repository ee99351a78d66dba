import { expect, it } from "vitest";
import { type LineScan, scanLines } from "../../../../agent/report/console/result-markers.ts";

const RESULT = /hwci: |<LAVA_|\r\x1b\[0K|MaRS: |^not ok /;

/** The same, line by line. */
function scanSlowly(block: Buffer): LineScan {
  const results: LineScan["results"] = [];
  const lines = block.toString("latin1").split(/(?<=\n)/);
  let start = 0;
  for (const [index, line] of lines.entries()) {
    if (RESULT.test(line)) results.push({ start, end: start + line.length, index });
    start += line.length;
  }
  return { lineCount: lines.filter((line) => line.endsWith("\n")).length, results };
}

it("counts every line and finds every line with a marker", () => {
  const alphabet = [
    "a",
    "\n",
    "\n",
    "xxxxxxxxxxxxxxxx",
    "hwci: ",
    "<LAVA_",
    "\r\x1b[0K",
    "MaRS: ",
    "not ok ",
    "\xff",
  ];
  let seed = 1;
  const next = (below: number) => {
    seed = (seed * 48271) % 0x7fffffff;
    return seed % below;
  };
  for (let round = 0; round < 500; round++) {
    const text = Array.from({ length: next(80) }, () => alphabet[next(alphabet.length)]).join("");
    const block = Buffer.from(text, "latin1");
    expect(scanLines(block)).toEqual(scanSlowly(block));
  }
});
