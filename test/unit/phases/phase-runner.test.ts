import pino from "pino";
import { afterEach, describe, expect, it, vi } from "vitest";
import { AgentError } from "../../../agent/errors.ts";
import { createPhaseRunner } from "../../../agent/phases/phase-runner.ts";
import type { EventBody } from "../../../agent/wire/event.ts";

function createRunner(readSilenceMs = () => 0) {
  const events: EventBody[] = [];
  const started: string[] = [];
  const lines: string[] = [];
  const write = (record: string) => lines.push((JSON.parse(record) as { msg: string }).msg);
  const runner = createPhaseRunner({
    bootId: "1a2b3c4d",
    log: pino({}, { write }),
    readSilenceMs,
    progressSilenceMs: 10,
    emit: (event) => events.push(event),
    onStart: (name) => started.push(name),
    onEnd: () => {},
    abortGraceMs: 20,
  });
  return { runner, events, started, lines };
}

const forever = () => new Promise<never>(() => {});

afterEach(() => vi.useRealTimers());

describe("phase runner", () => {
  it("returns the phase's result and keeps a record", async () => {
    const { runner, events, started } = createRunner();
    expect(await runner.run("fetch", async () => 42)).toBe(42);
    runner.skip("artifact");
    expect(started).toEqual(["fetch"]);
    expect(runner.records.map(({ name, outcome }) => [name, outcome])).toEqual([
      ["fetch", "done"],
      ["artifact", "skipped"],
    ]);
    expect(events.map((event) => event.event)).toEqual(["phase_start", "phase_end", "phase_end"]);
    expect(runner.firstFailure).toBeUndefined();
  });

  it("keeps the first failure and throws every one", async () => {
    const { runner } = createRunner();
    const fail = (code: "INITRD_DAMAGED" | "AGENT_DIED") => async () => {
      throw new AgentError(code, "Cannot");
    };
    await expect(runner.run("fetch", fail("INITRD_DAMAGED"))).rejects.toMatchObject({
      code: "INITRD_DAMAGED",
    });
    await expect(runner.run("upload", fail("AGENT_DIED"))).rejects.toMatchObject({ code: "AGENT_DIED" });
    expect(runner.firstFailure).toMatchObject({ phase: "fetch", error: { code: "INITRD_DAMAGED" } });
  });

  it("reports an unexpected error as a bug", async () => {
    const { runner } = createRunner();
    const work = runner.run("assemble", () => Promise.reject(new TypeError("x is not a function")));
    await expect(work).rejects.toMatchObject({ code: "BUG_UNEXPECTED", blame: "bug" });
  });

  it.each([
    ["fetch", "PHASE_TIMEOUT", "infra"],
    ["run", "TEST_TIMEOUT", "test"],
    ["upload", "PHASE_TIMEOUT", "infra"],
    ["end", "PHASE_TIMEOUT", "infra"],
  ] as const)("ends phase %s at its own limit", async (phase, code, blame) => {
    const { runner } = createRunner();
    runner.setLimits({ timeoutMs: 60_000, phasesMs: { [phase]: 10 } });
    expect(await runner.run("assemble", async () => "others have theirs")).toBeDefined();
    await expect(runner.run(phase, forever)).rejects.toMatchObject({ code, blame });
  });

  it("applies a limit that is set during the phase", async () => {
    const { runner } = createRunner();
    const work = runner.run("machine", async () => {
      runner.setLimits({});
      runner.setLimits({ phasesMs: { machine: 20 } });
      return forever();
    });
    await expect(work).rejects.toMatchObject({ code: "PHASE_TIMEOUT" });
  });

  it("logs what it waits for, and for how long at most, when the console is silent", async () => {
    vi.useFakeTimers();
    let silenceMs = 0;
    const { runner, lines } = createRunner(() => silenceMs);
    runner.setLimits({ phasesMs: { machine: 300_000 } });
    await runner.run("machine", async ({ during }) => {
      vi.advanceTimersByTime(40_000);
      expect(lines).toEqual(["machine: started"]);
      silenceMs = 10;
      await during("the network", async () => vi.advanceTimersByTime(10));
      vi.advanceTimersByTime(200_000 - 20);
      lines.splice(2, lines.length - 3);
    });
    expect(lines.slice(1, -1)).toEqual([
      "machine: waiting for the network, 40 s so far, at most 4 min more",
      "machine: at work, 4 min so far, at most 60 s more",
    ]);
  });

  it("logs no progress while a user types", async () => {
    vi.useFakeTimers();
    const { runner, lines } = createRunner(() => 10_000);
    await runner.run("run", async () => vi.advanceTimersByTime(50_000), { isInteractive: true });
    expect(lines).toEqual(["run: started", expect.stringMatching(/^run: done/)]);
  });

  it.each([
    ["run", "TEST_TIMEOUT", "test"],
    ["fetch", "JOB_TIMEOUT", "infra"],
  ] as const)("ends phase %s at the deadline even if it ignores the signal", async (phase, code, blame) => {
    const { runner } = createRunner();
    runner.setLimits({ timeoutMs: 10 });
    await expect(runner.run(phase, forever)).rejects.toMatchObject({ code, blame });
  });

  it("runs a phase with its own limit after the deadline", async () => {
    const { runner } = createRunner();
    runner.setLimits({ timeoutMs: 1 });
    await expect(runner.run("run", forever)).rejects.toMatchObject({ code: "TEST_TIMEOUT" });
    expect(await runner.run("upload", async () => "kept")).toBe("kept");
  });

  it("counts a phase that returns after its deadline as failed", async () => {
    const { runner } = createRunner();
    runner.setLimits({ timeoutMs: 5 });
    const obedient = runner.run("run", ({ signal }) => {
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve(0)));
    });
    await expect(obedient).rejects.toMatchObject({ code: "TEST_TIMEOUT" });
  });
});
