/**
 * Whatever bytes a dump has, the parser gives a tree or one of our errors with a line; and a tree makes an image or a refusal.
 * Inputs are golden dumps changed at random, from a seed that is printed with a failure.
 */

import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { writeErofsImage } from "../../../../agent/composefs/erofs-image.ts";
import { AgentError } from "../../../../agent/errors.ts";
import { parseDump } from "../../../../scripts/composefs-dump/dump-parser.ts";
import { writeDump } from "../../../../scripts/composefs-dump/dump-writer.ts";
import { createRandom, type Random } from "../../../unit/composefs/random-tree.ts";

const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 1500);
const folder = new URL("../../../golden/composefs/", import.meta.url);
const seeds = readdirSync(folder)
  .filter((name) => name.endsWith(".dump"))
  .map((name) => readFileSync(new URL(name, folder)))
  .filter((dump) => dump.length < 6000);
const TOKENS = [
  "\n",
  " ",
  "-",
  "@",
  "\\x",
  "\\",
  "/",
  "/..",
  "//",
  "=",
  "0",
  "-1",
  "18446744073709551615",
  "40755",
  "\0",
  "100644",
  "user.a=b",
  ".",
];

function mutate(dump: Buffer, random: Random): Buffer {
  let bytes = Buffer.from(dump);
  for (let left = 1 + random(6); left > 0; left--) {
    const at = random(bytes.length + 1);
    const kind = random(5);
    const cut = random(20);
    if (kind === 0 && bytes.length > 0) bytes[Math.min(at, bytes.length - 1)] = random(256);
    else if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + cut)]);
    else if (kind === 2) {
      const token = Buffer.from(TOKENS[random(TOKENS.length)]!, "latin1");
      bytes = Buffer.concat([bytes.subarray(0, at), token, bytes.subarray(at)]);
    } else if (kind === 3) bytes = Buffer.concat([bytes, bytes.subarray(at, at + random(300))]);
    else swapLines(bytes, random);
  }
  return bytes;
}

function swapLines(bytes: Buffer, random: Random): void {
  const lines = bytes.toString("latin1").split("\n");
  const [one, other] = [random(lines.length), random(lines.length)];
  [lines[one], lines[other]] = [lines[other]!, lines[one]!];
  Buffer.from(lines.join("\n"), "latin1").copy(bytes);
}

test(`${ROUNDS} broken dumps are read or refused`, () => {
  let read = 0;
  for (let seed = 1; seed <= ROUNDS; seed++) {
    const random = createRandom(seed);
    const dump = mutate(seeds[random(seeds.length)]!, random);
    try {
      const tree = parseDump(dump);
      const image = writeErofsImage(tree);
      const again = parseDump(Buffer.from([...writeDump(tree)].join(""), "latin1"));
      expect(writeErofsImage(again).equals(image), `seed ${seed}`).toBe(true);
      read++;
    } catch (error) {
      if (!(error instanceof AgentError)) throw new Error(`seed ${seed}: ${String(error)}`, { cause: error });
      expect(error.code, `seed ${seed}`).toMatch(/^COMPOSEFS_(DUMP_|TREE_UNFIT)/);
    }
  }
  expect(read).toBeGreaterThan(ROUNDS / 20);
});
