/** boot2container's lines and shell words from random pieces: reading never throws, and every error is in the list. */
import { randomInt } from "node:crypto";
import { expect, it } from "vitest";
import { B2C_OPTIONS } from "../../../agent/job/b2c/options.ts";
import { describeLine } from "../../../agent/job/explain/describe-job.ts";
import { readCommandLine } from "../../../agent/job/read-job.ts";
import { expandWords, quoteShellWord, splitShellText } from "../../../agent/job/syntax/shell-words.ts";

const PIECES = [
  ..." \"'\\\n\t=,|$;&:/#%{}()`é\0",
  "\\n",
  "\\x41",
  "$B2C_PIPELINE_STATUS ",
  "docker://h:1/i ",
  "-e A=b ",
  "-v v:/x ",
  "--mount type=bind,",
  "--entrypoint ",
  "mirror=gw/b",
  "push_on=changes",
  "10.0.0.1/24",
  "/dev/nbd0",
  " root=/dev/nfs ",
  " nfsroot=",
  ...B2C_OPTIONS.flatMap(({ name, aliases = [] }) => [name, ...aliases].map((known) => ` ${known}=`)),
];

const randomText = (max: number) =>
  Array.from({ length: randomInt(1, max) }, () => PIECES[randomInt(PIECES.length)]).join("");

it("never throws, and describes what it reads", () => {
  for (let round = 0; round < 20_000; round++) {
    const line = randomText(40);
    const options = round % 2 ? { extraArguments: randomText(40) } : {};
    const description = describeLine(readCommandLine(line, options));
    const ofSteps = description.job?.steps.filter(({ error }) => error !== null) ?? [];
    expect(description.errors.length, JSON.stringify(line)).toBeGreaterThanOrEqual(ofSteps.length);
    if (description.job === null) expect(description.errors, JSON.stringify(line)).not.toEqual([]);
  }
});

it("quotes any word so that it reads back", () => {
  for (let round = 0; round < 20_000; round++) {
    const words = [randomText(10), randomText(10)];
    const text = words.map(quoteShellWord).join(" ");
    expect(
      expandWords(splitShellText(text), () => "no"),
      JSON.stringify(text),
    ).toEqual(words);
  }
});
