import { randomInt } from "node:crypto";
import { expect, it } from "vitest";
import { OPTIONS } from "../../../../agent/job/dut/options.ts";
import { readCommandLine } from "../../../../agent/job/read-job.ts";
import { parseCommandLine } from "../../../../agent/job/syntax/command-line.ts";
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
    const { dialect, job, errors } = readCommandLine(line);
    expect(dialect).toBe("dut");
    expect((job !== undefined) !== errors.length > 0, JSON.stringify(line)).toBe(true);
  }
});

it("loses only white space, and reads each word the same by itself", () => {
  for (let round = 0; round < 20_000; round++) {
    const line = randomLine();
    const { parameters, initParameters, isUnterminated } = parseCommandLine(line);
    const words = [...parameters, ...initParameters];
    let at = 0;
    for (const { text } of words) {
      at = line.indexOf(text, at) + text.length;
      expect(at, text).toBeGreaterThanOrEqual(text.length);
    }
    const covered = words.reduce((length, { text }) => length + text.length, 0);
    const dashes = initParameters.length > 0 || /(^|\s)("?)--\2?(\s|$)/.test(line);
    if (!dashes)
      expect(line.replace(/"[^"]*("|$)|[\t\n\v\f\r ]/g, (part) => part.trim() && part).length).toBe(covered);
    if (isUnterminated) continue;
    // A word means the same wherever it is in the line.
    for (const { text, name, value } of parameters) {
      expect(parseCommandLine(text).parameters[0], JSON.stringify(text)).toMatchObject({ name, value });
    }
  }
});

it("hides secrets, and hiding again changes nothing", () => {
  for (let round = 0; round < 5_000; round++) {
    const clean = hideSecrets(`${randomLine()} https://u:hunter2@h/p?sig=hunter2&x dut.env=TOKEN=hunter2`);
    expect(clean).not.toContain("hunter2");
    expect(hideSecrets(clean)).toBe(clean);
  }
});
