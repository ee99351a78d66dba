import { describe, expect, it } from "vitest";
import { exitCodeOfVerdict, parseVerdict } from "../../../agent/wire/verdict.ts";

const base = { version: 1, bootId: "1a2b3c4d", phases: [] };
const error = { code: "JOB_TIMEOUT", blame: "config", phase: "run", message: "m", hint: "h" };

describe("exitCodeOfVerdict", () => {
  it.for([
    [{ ...base, verdict: "pass", exitCode: 0 }, 0],
    [{ ...base, verdict: "fail", exitCode: 1 }, 1],
    [{ ...base, verdict: "fail", exitCode: 123 }, 123],
    [{ ...base, verdict: "fail", exitCode: 200 }, 200],
    [{ ...base, verdict: "fail", exitCode: 255 }, 200],
    [{ ...base, verdict: "error", exitCode: null, error: { ...error, blame: "infra" } }, 201],
    [{ ...base, verdict: "error", exitCode: null, error: { ...error, blame: "job" } }, 202],
    [{ ...base, verdict: "error", exitCode: null, error: { ...error, blame: "test" } }, 203],
    [{ ...base, verdict: "error", exitCode: 0, error: { ...error, blame: "config" } }, 204],
    [{ ...base, verdict: "error", exitCode: null, error: { ...error, blame: "bug" } }, 205],
  ] as const)("%j gives %i", ([record, exitCode]) => {
    const verdict = parseVerdict(record);
    expect(verdict).toBeDefined();
    expect(exitCodeOfVerdict(verdict!)).toBe(exitCode);
  });
});

describe("parseVerdict", () => {
  it.for([
    null,
    "pass",
    { ...base, verdict: "pass" },
    { ...base, verdict: "pass", exitCode: 1 },
    { ...base, verdict: "pass", exitCode: 0, error },
    { ...base, verdict: "fail", exitCode: 0 },
    { ...base, verdict: "fail", exitCode: null },
    { ...base, verdict: "fail", exitCode: 1.5 },
    { ...base, verdict: "error", exitCode: null },
    { ...base, verdict: "error", exitCode: null, error: null },
    { ...base, verdict: "error", exitCode: null, error: { ...error, blame: "weather" } },
    { ...base, verdict: "Pass", exitCode: 0 },
    { ...base, version: 2, verdict: "pass", exitCode: 0 },
    { version: 1, verdict: "pass", exitCode: 0 },
  ])("takes no answer from %j", (record) => {
    expect(parseVerdict(record)).toBeUndefined();
  });
});
