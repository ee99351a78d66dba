/** Random secrets in random encodings, in output cut at random places and in random values of our own: none ever comes out. */
import { randomBytes, randomInt } from "node:crypto";
import { expect, it } from "vitest";
import { createRedaction } from "../../../agent/redaction/redaction.ts";
import { createEventStream } from "../../../agent/report/log/event-stream.ts";
import { createLog } from "../../../agent/report/log/log.ts";
import { OutputBus } from "../../../agent/report/output-bus.ts";

const pick = <Item>(items: readonly Item[]) => items[randomInt(items.length)]!;

const MAKERS: (() => string)[] = [
  () => randomBytes(randomInt(6, 40)).toString("base64"),
  () => randomBytes(randomInt(6, 40)).toString("hex"),
  () => `glpat-${randomBytes(15).toString("base64url")}`,
  () =>
    Array.from({ length: randomInt(6, 30) }, () => pick([..."aab/+%&<>\"'\\ =é😀:@"]))
      .join("")
      .trim(),
  () => `${randomBytes(20).toString("base64")}\n${randomBytes(20).toString("base64")}`,
  // One that begins as it goes on.
  () => "ab".repeat(randomInt(3, 12)),
];
const ENCODERS: ((text: string) => string)[] = [
  (text) => text,
  encodeURIComponent,
  (text) => encodeURIComponent(text).replace(/%../g, (escaped) => escaped.toLowerCase()),
  (text) => JSON.stringify(text).slice(1, -1),
  (text) => Buffer.from(text).toString("base64"),
  (text) => Buffer.from(`user:${text}`).toString("base64"),
  (text) => Buffer.from(`x${text}yz`).toString("base64url"),
];
const ORDINARY = [
  "a line\n",
  "\x1b[31mred\x1b[0m",
  "hwci: mesa: pass\n",
  "\0\xff",
  "é",
  "[hidden]",
  "ab",
  "1 % of 5\r",
  "  ",
];

/** Every spelling that must not be seen, long enough that chance does not make it. */
const listSpellings = (secret: string) => ENCODERS.slice(0, 5).map((encode) => encode(secret));

function createSecrets(): string[] {
  return Array.from({ length: randomInt(1, 8) }, () => pick(MAKERS)()).filter(
    (secret) => Buffer.byteLength(secret) >= 6,
  );
}

function mix(secrets: readonly string[]): string {
  const pieces = Array.from({ length: randomInt(1, 20) }, () =>
    randomInt(3) === 0 && secrets.length > 0 ? pick(ENCODERS)(pick(secrets)) : pick(ORDINARY),
  );
  return pieces.join(pick(["", " ", "\n"]));
}

const without = (text: string) => text.replaceAll("[hidden]", "");

it("lets no secret through in a test's output, in chunks of any size", () => {
  for (let round = 0; round < 4_000; round++) {
    const secrets = createSecrets();
    const redaction = createRedaction();
    for (const secret of secrets) redaction.hide(secret);
    const bytes = Buffer.from(mix(secrets));
    const shown: Buffer[] = [];
    const filter = redaction.openFilter((chunk) => shown.push(Buffer.from(chunk)));
    const whole: Buffer[] = [];
    const inOne = redaction.openFilter((chunk) => whole.push(Buffer.from(chunk)));
    inOne.write(bytes);
    inOne.end();
    for (let at = 0; at < bytes.length; ) {
      // The reader's buffer, used again at once.
      const chunk = Buffer.from(bytes.subarray(at, at + randomInt(1, 12)));
      filter.write(chunk);
      at += chunk.length;
      chunk.fill(0);
    }
    filter.end();
    const text = Buffer.concat(shown).toString();
    for (const secret of secrets)
      for (const spelling of listSpellings(secret)) {
        expect(text.includes(spelling), JSON.stringify({ secret, spelling, text })).toBe(false);
        expect(Buffer.concat(whole).includes(spelling)).toBe(false);
      }
  }
});

it("keeps ordinary output, in chunks of any size", () => {
  for (let round = 0; round < 2_000; round++) {
    const redaction = createRedaction();
    for (const secret of createSecrets()) redaction.hide(`${secret}-${randomBytes(6).toString("hex")}`);
    const bytes = Buffer.concat([Buffer.from(mix([])), randomBytes(randomInt(50))]);
    const shown: Buffer[] = [];
    const filter = redaction.openFilter((chunk) => shown.push(Buffer.from(chunk)));
    for (let at = 0; at < bytes.length; at += 3) filter.write(bytes.subarray(at, at + 3));
    filter.end();
    expect(Buffer.concat(shown).equals(bytes)).toBe(true);
  }
});

it("lets no secret through in the agent's lines, records and events", async () => {
  for (let round = 0; round < 1_000; round++) {
    const secrets = createSecrets();
    const redaction = createRedaction();
    for (const secret of secrets) redaction.hide(secret);
    const sinks: string[] = [];
    const sink = (text: string) => void sinks.push(text);
    const nothing = () => {};
    const console_ = {
      line: sink,
      output: nothing,
      beginOutput: nothing,
      endOutput: nothing,
      flush: async () => {},
    };
    const networkLog = { line: sink, output: nothing, endOutput: nothing, close: async () => {} };
    const logFile = { write: (text: Buffer | string) => sink(String(text)) };
    const output = new OutputBus({ console: console_, networkLog, logFile, redaction });
    const onLine = (line: string) => output.logLine(line);
    const log = createLog({ redaction, readUptimeMs: () => 1, onLine, onRecord: sink });
    const events = createEventStream({ readUptimeMs: () => 1, onLine: sink, clean: redaction.cleanValue });
    const text = mix(secrets);
    log.warn({ context: { url: text, list: [text] } }, text);
    log.error({ err: new Error(text) }, "it broke");
    events.emit({ event: "report", topic: "fuzz", text, deep: { text } });
    output.line(text);
    await new Promise(setImmediate);
    expect(sinks.length).toBeGreaterThanOrEqual(8);
    for (const shown of sinks)
      for (const secret of secrets)
        for (const spelling of listSpellings(secret))
          expect(without(shown).includes(spelling), JSON.stringify({ spelling, shown })).toBe(false);
    // What machines read stays readable for them.
    for (const record of sinks.filter((each) => each.startsWith('{"')))
      if (record.endsWith("}\n")) JSON.parse(record);
  }
});
