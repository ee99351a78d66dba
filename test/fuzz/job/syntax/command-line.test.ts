import { randomInt } from "node:crypto";
import { expect, it } from "vitest";
import { readDutDialect } from "../../../../agent/job/dut/dialect.ts";
import { OPTIONS } from "../../../../agent/job/dut/options.ts";
import { formatParameter, parseCommandLine } from "../../../../agent/job/syntax/command-line.ts";
import { hideSecrets } from "../../../../agent/redaction/patterns.ts";

const PIECES = [
  ..." \"=,-\\\n\t'$;:@/%?#[]é\0",
  "dut.",
  "s3://",
  "https://",
  "sha256=",
  "--",
  "1h",
  ...OPTIONS.map(({ name }) => name),
  ...OPTIONS.map(({ example }) => `${example} `),
];

function randomLine(): string {
  return Array.from({ length: randomInt(1, 40) }, () => PIECES[randomInt(PIECES.length)]).join("");
}

it("never throws, and always gives a job or a reason", () => {
  for (let round = 0; round < 20_000; round++) {
    const line = randomLine();
    const { job, errors } = readDutDialect(line);
    expect((job !== undefined) !== errors.length > 0, JSON.stringify(line)).toBe(true);
  }
});

it("loses no letter but white space, and reads its own words again", () => {
  for (let round = 0; round < 20_000; round++) {
    const line = randomLine();
    const { parameters, initParameters, isUnterminated } = parseCommandLine(line);
    const words = [...parameters, ...initParameters];
    for (const { text, start } of words) expect(line.slice(start, start + text.length)).toBe(text);
    const covered = words.reduce((length, { text }) => length + text.length, 0);
    const dashes = initParameters.length > 0 || /(^|\s)("?)--\2?(\s|$)/.test(line);
    if (!dashes)
      expect(line.replace(/"[^"]*("|$)|[\t\n\v\f\r ]/g, (part) => part.trim() && part).length).toBe(covered);
    if (isUnterminated) continue;
    // Each word stands for itself, wherever it stood.
    for (const { text, name, value } of parameters) {
      expect(parseCommandLine(text).parameters[0], JSON.stringify(text)).toMatchObject({ name, value });
    }
  }
});

it("reads back every value without quotes, and refuses or reads back the others", () => {
  for (let round = 0; round < 20_000; round++) {
    const value = randomLine();
    const plain = value.replaceAll('"', "");
    expect(parseCommandLine(formatParameter("dut.x", plain)).parameters[0]).toMatchObject({ value: plain });
    let word: string | undefined;
    try {
      word = formatParameter("dut.x", value);
    } catch {
      continue;
    }
    expect(parseCommandLine(word).parameters).toEqual([expect.objectContaining({ name: "dut.x", value })]);
  }
});

it("hides a secret once and for all", () => {
  for (let round = 0; round < 5_000; round++) {
    const clean = hideSecrets(`${randomLine()} https://u:hunter2@h/p?sig=hunter2&x dut.env=TOKEN=hunter2`);
    expect(clean).not.toContain("hunter2");
    expect(hideSecrets(clean)).toBe(clean);
  }
});
