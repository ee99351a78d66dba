import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { AgentError } from "../../../agent/errors.ts";
import { formatEventLine, parseEventLine } from "../../../agent/wire/event.ts";
import {
  createVerdict,
  formatVerdictLine,
  formatVerdictLines,
  parseVerdictLine,
} from "../../../agent/wire/verdict.ts";

const failure = { phase: "upload", error: new AgentError("INITRD_DAMAGED", "Cannot read\n\x1b[31m/init") };

const facts = { bootId: "1a2b3c4d", records: [] };

describe("verdict", () => {
  it.each([
    ["pass", createVerdict(facts, 0), "dutboot: verdict: pass exit_code=0"],
    ["fail", createVerdict(facts, 3), "dutboot: verdict: fail exit_code=3"],
    [
      "error before the test",
      createVerdict({ ...facts, firstFailure: failure }, null),
      "dutboot: verdict: error code=INITRD_DAMAGED blame=infra phase=upload: Cannot read [31m/init",
    ],
    [
      "error after the test",
      createVerdict({ ...facts, firstFailure: failure }, 3),
      "dutboot: verdict: error code=INITRD_DAMAGED blame=infra phase=upload exit_code=3: Cannot read [31m/init",
    ],
  ])("%s", (_name, verdict, line) => {
    expect(formatVerdictLine(verdict)).toBe(line);
  });

  it("is an error even though the test passed, when its results were lost", () => {
    expect(createVerdict({ ...facts, firstFailure: failure }, 0)).toMatchObject({
      verdict: "error",
      exitCode: 0,
    });
  });
});

describe("verdict lines", () => {
  const text = 'dutboot: verdict: error code=X blame=bug phase=run: it said "[1/3]" and ü';
  const lines = formatVerdictLines(text, "1a2b3c4d");

  it("are the same text three times, numbered, with the sum that sha256sum prints", () => {
    const sum = execFileSync("sha256sum", { input: text }).toString().slice(0, 8);
    expect(lines).toEqual([1, 2, 3].map((n) => `${text} [${n}/3 boot=1a2b3c4d sum=${sum}]`));
  });

  it("come back as they went", () => {
    expect(lines.map(parseVerdictLine)).toEqual(
      [1, 2, 3].map((number) => ({ text, number, bootId: "1a2b3c4d" })),
    );
  });

  it("are known to be torn wherever a byte is missing, other or added", () => {
    const [line] = formatVerdictLines("dutboot: verdict: pass exit_code=0", "1a2b3c4d");
    for (let at = 0; at < line!.length; at++) {
      expect(
        parseVerdictLine(line!.slice(0, at) + line!.slice(at + 1)),
        `without byte ${at}`,
      ).toBeUndefined();
    }
    expect(parseVerdictLine(line!.replace("pass", "fail"))).toBeUndefined();
    expect(parseVerdictLine(`${line} `)).toBeUndefined();
    expect(parseVerdictLine("dutboot: verdict: pass exit_code=0")).toBeUndefined();
  });
});

describe("event lines", () => {
  it("come back as they went", () => {
    const line = { v: 1, seq: 0, uptimeMs: 5, event: "phase_start", phase: "fetch" } as const;
    expect(parseEventLine(formatEventLine(line))).toEqual(line);
  });

  it.each(["", "{", "null", "[]", '"text"', '{"v":2,"event":"end"}', '{"v":1}'])(
    "are not made of %j",
    (text) => {
      expect(parseEventLine(text)).toBeUndefined();
    },
  );
});
