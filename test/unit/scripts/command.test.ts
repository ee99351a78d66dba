import { describe, expect, it } from "vitest";
import {
  type Command,
  formatCommandHelp,
  parseCommandInput,
  parseCount,
  parseDurationOption,
  UsageError,
} from "../../../scripts/command.ts";

const COMMAND: Command = {
  name: "try",
  summary: "Try it",
  operands: "[-- 'LINE']",
  options: {
    file: { type: "string", multiple: true, value: "FILE", help: "A file" },
    fast: { type: "boolean", help: "Faster" },
  },
  examples: ["dutboot try --fast"],
  run: async () => 0,
};

describe("parseCommandInput", () => {
  it("returns options and the arguments after --", () => {
    const input = parseCommandInput(COMMAND, ["--file", "a", "--file=b", "--fast", "--", "dut.run=--x"]);
    if (input === "help") throw new Error("help was not asked for");
    expect(input.texts("file")).toEqual(["a", "b"]);
    expect(input.text("file")).toBe("b");
    expect(input.flag("fast")).toBe(true);
    expect(input.operands).toEqual(["dut.run=--x"]);
  });

  it("detects a call for help", () => {
    expect(parseCommandInput(COMMAND, ["--help"])).toBe("help");
    expect(formatCommandHelp(COMMAND)).toContain("--file FILE  A file (repeatable)");
  });

  it.for([["--slow"], ["--file"], ["--fast=yes"]])("refuses %j", (words) => {
    expect(() => parseCommandInput(COMMAND, words)).toThrow(UsageError);
  });

  it("refuses an operand if the command takes none", () => {
    const { operands: _, ...bare } = COMMAND;
    expect(() => parseCommandInput(bare, ["word"])).toThrow(UsageError);
  });
});

describe("values", () => {
  it.for([
    ["90s", 90_000],
    ["15m", 900_000],
    ["2h", 7_200_000],
    ["250ms", 250],
  ] as const)("reads %s", ([text, durationMs]) => {
    expect(parseDurationOption("timeout", text)).toBe(durationMs);
  });

  it.for(["", "15", "0s", "-1s", "1.5h", "1w"])("refuses the duration %j", (text) => {
    expect(() => parseDurationOption("timeout", text)).toThrow(UsageError);
  });

  it.for(["", "0", "1.5", "-2", "two"])("refuses the count %j", (text) => {
    expect(() => parseCount("times", text)).toThrow(UsageError);
  });
});
