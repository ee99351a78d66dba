import { expect, it } from "vitest";
import { createWordSurvey, type WordSurvey } from "../../../agent/kernel/scan-lines.ts";

const WORDS = ["ab", "<LAVA_", "\nnot ok ", "bb"].map((text) => Buffer.from(text));

/** The same, byte by byte. */
function surveySlowly(block: Buffer): WordSurvey {
  const places: WordSurvey["places"] = [];
  let lines = 0;
  for (let at = 0; at < block.length; at++) {
    for (const word of WORDS)
      if (block.subarray(at, at + word.length).equals(word)) places.push({ at, lines });
    if (block[at] === 0x0a) lines++;
  }
  return { lines, places };
}

const survey = createWordSurvey(WORDS);

it("finds every word and counts every line end, wherever they lie", () => {
  const alphabet = ["a", "b", "\n", "x", "xxxxxxxxxxxxxxxx", "<LAVA_", "not ok ", "\xff"];
  let seed = 1;
  const next = (below: number) => {
    seed = (seed * 48271) % 0x7fffffff;
    return seed % below;
  };
  for (let round = 0; round < 500; round++) {
    const text = Array.from({ length: next(80) }, () => alphabet[next(alphabet.length)]).join("");
    const block = Buffer.from(text, "latin1");
    expect(survey(block)).toEqual(surveySlowly(block));
  }
});

it("counts more line ends than a byte can, and more words than were expected", () => {
  const block = Buffer.concat([
    Buffer.alloc(100_000, "\n"),
    Buffer.from("ab".repeat(1000)),
    Buffer.alloc(70_001, "x\n"),
  ]);
  const { lines, places } = survey(block);
  expect(lines).toBe(135_000);
  expect(places).toHaveLength(1000);
  expect(places[999]).toEqual({ at: 101_998, lines: 100_000 });
});
