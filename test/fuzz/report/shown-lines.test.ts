/**
 * Whatever a test prints and however it is cut: a terminal that shows the console never shows a line that begins like one
 * of ours, and obeys nothing but colors and section marks.
 */
import { randomBytes, randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { ConsoleSet } from "../../../agent/report/console/console.ts";
import type { ConsoleDevice } from "../../../agent/report/console/device.ts";
import { sanitizeLine } from "../../../agent/report/console/sanitize-line.ts";

const PIECES = [
  ..."d\r\t[]: .1m8;\x1b\0\x07\x7f",
  ..."é🦊\u200b\u202e\u009b\u2028",
  ...["dut", "boot", "dutboot:", "DUTBOOT :", "[ 1.2] ", "[3.4]: ", "verdict: pass", "\r\r"],
  ...["\x1b[", "\x1b[0K", "\x1b[K", "\r\x1b[0K", "\x1b[31m", "\x1b[8m", "\x1b[38;5;8m", "\x1b[2J", "\x1b]0;"],
  ...["section_start:", "1:x", "section_end:12:y\r\x1b[0K", "\x1b[0Ksection_start:9:z[a=b]\r\x1b[0K"],
];

function randomPiece(): Buffer {
  return randomInt(20) === 0 ? randomBytes(randomInt(1, 5)) : Buffer.from(PIECES[randomInt(PIECES.length)]!);
}

function randomOutput(): Buffer {
  return Buffer.concat(Array.from({ length: randomInt(1, 25) }, randomPiece));
}

/** What stands in a terminal's line at its end; throws for anything that it obeys beside what may pass. */
function render(line: string): string {
  let cells: string[] = [];
  let column = 0;
  for (let at = 0; at < line.length; ) {
    const sequence = /^\x1b\[([\d;:]*)m|^\x1b\[0?K|^[\x00-\x08\x0b-\x1f\x7f-\x9f]/.exec(
      line.slice(at, at + 64),
    );
    if (!sequence) {
      cells[column++] = line[at++]!;
      continue;
    }
    const [text] = sequence;
    at += text.length;
    if (text === "\r") column = 0;
    else if (text.endsWith("K")) cells = cells.slice(0, column);
    else if (!text.endsWith("m")) throw new Error(`A terminal obeys ${JSON.stringify(text)}`);
  }
  return cells.join("");
}

const OURS = /^\s*(?:\[\s*[\d.]+\]:?\s*)?dutboot\s*:/i;

function check(shown: string, given: Buffer): void {
  const seen = render(shown);
  expect(seen, JSON.stringify([given.toString("latin1"), shown])).not.toMatch(OURS);
  expect(seen).not.toMatch(/[\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffd]/);
}

it("is so for every line", () => {
  for (let round = 0; round < 20_000; round++) {
    const line = randomOutput();
    const bytes = line.filter((byte) => byte !== 0x0a);
    const hasColor = round % 2 === 0;
    const shown = sanitizeLine(Buffer.from(bytes), { hasColor }).toString();
    check(shown, line);
    if (!hasColor) expect(shown).not.toMatch(/\x1b\[[\d;:]*m/);
  }
});

it("is so for output that comes in pieces, with lines of ours in between", async () => {
  const rounds = Array.from({ length: 150 }, async () => {
    const written: Buffer[] = [];
    const device: ConsoleDevice = {
      name: "fuzz",
      write: (bytes, done) => {
        written.push(bytes);
        setImmediate(done);
      },
      drain: () => Promise.resolve(),
      close: () => {},
    };
    const console_ = new ConsoleSet([device], { readUptimeMs: () => 0, openLineMs: 1, stateMs: 3 });
    const given: Buffer[] = [];
    for (let step = 0; step < 60; step++) {
      const bytes = randomInt(6) === 0 ? Buffer.from("\n") : randomOutput().subarray(0, randomInt(1, 12));
      given.push(bytes);
      console_.output(bytes);
      if (randomInt(10) === 0) console_.line("= ours");
      if (randomInt(3) === 0) await sleep(3);
    }
    console_.endOutput();
    await console_.flush();
    for (const line of Buffer.concat(written).toString().split("\n")) check(line, Buffer.concat(given));
  });
  await Promise.all(rounds);
}, 60_000);
