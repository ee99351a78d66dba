import pino from "pino";
import { describe, expect, it } from "vitest";
import { AgentError } from "../../../agent/errors.ts";
import { createPhaseRunner } from "../../../agent/phases/phase-runner.ts";
import type { EventBody } from "../../../agent/wire/event.ts";

function createRunner() {
  const events: EventBody[] = [];
  const started: string[] = [];
  const runner = createPhaseRunner({
    log: pino({ level: "silent" }),
    emit: (event) => events.push(event),
    onStart: (name) => started.push(name),
    abortGraceMs: 20,
  });
  return { runner, events, started };
}

const forever = () => new Promise<never>(() => {});

describe("phase runner", () => {
  it("gives the phase's result and keeps a record", async () => {
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

  it("keeps the first failure and throws it on", async () => {
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

  it("turns what nobody foresaw into a bug of ours", async () => {
    const { runner } = createRunner();
    const work = runner.run("assemble", () => Promise.reject(new TypeError("x is not a function")));
    await expect(work).rejects.toMatchObject({ code: "BUG_UNEXPECTED", blame: "bug" });
  });

  it.each([
    ["run", "TEST_TIMEOUT", "test"],
    ["fetch", "JOB_TIMEOUT", "infra"],
  ] as const)(
    "ends phase %s at the deadline even if it does not heed the signal",
    async (phase, code, blame) => {
      const { runner } = createRunner();
      runner.setDeadline(10);
      await expect(runner.run(phase, forever)).rejects.toMatchObject({ code, blame });
    },
  );

  it("lets a phase with a limit of its own run after the deadline", async () => {
    const { runner } = createRunner();
    runner.setDeadline(0);
    await expect(runner.run("run", forever)).rejects.toMatchObject({ code: "TEST_TIMEOUT" });
    expect(await runner.run("upload", async () => "kept", { ownLimitMs: 1_000 })).toBe("kept");
  });

  it("does not call a phase done that came back only because it was told to stop", async () => {
    const { runner } = createRunner();
    runner.setDeadline(5);
    const obedient = runner.run("run", ({ signal }) => {
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve(0)));
    });
    await expect(obedient).rejects.toMatchObject({ code: "TEST_TIMEOUT" });
  });
});
