import { describe, expect, it } from "vitest";
import { AgentError } from "../../../agent/errors.ts";
import { formatEventLine, parseEventLine } from "../../../agent/wire/event.ts";
import { createVerdict, formatVerdictLine } from "../../../agent/wire/verdict.ts";

const failure = { phase: "upload", error: new AgentError("INITRD_DAMAGED", "Cannot read\n\x1b[31m/init") };

describe("verdict", () => {
  it.each([
    ["pass", createVerdict([], 0), "dutboot: verdict: pass exit_code=0"],
    ["fail", createVerdict([], 3), "dutboot: verdict: fail exit_code=3"],
    [
      "error before the test",
      createVerdict([], null, failure),
      "dutboot: verdict: error code=INITRD_DAMAGED blame=infra phase=upload: Cannot read [31m/init",
    ],
    [
      "error after the test",
      createVerdict([], 3, failure),
      "dutboot: verdict: error code=INITRD_DAMAGED blame=infra phase=upload exit_code=3: Cannot read [31m/init",
    ],
  ])("%s", (_name, verdict, line) => {
    expect(formatVerdictLine(verdict)).toBe(line);
  });

  it("is an error even though the test passed, when its results were lost", () => {
    expect(createVerdict([], 0, failure)).toMatchObject({ verdict: "error", exitCode: 0 });
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
