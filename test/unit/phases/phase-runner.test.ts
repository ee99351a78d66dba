import { setTimeout as sleep } from "node:timers/promises";
import pino from "pino";
import { describe, expect, it } from "vitest";
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
    lifeSignMs: 10,
    emit: (event) => events.push(event),
    onStart: (name) => started.push(name),
    onEnd: () => {},
    abortGraceMs: 20,
  });
  return { runner, events, started, lines };
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

  it("ends the phase under way at a limit that comes up in it", async () => {
    const { runner } = createRunner();
    const work = runner.run("machine", async () => {
      runner.setLimits({});
      runner.setLimits({ phasesMs: { machine: 20 } });
      return forever();
    });
    await expect(work).rejects.toMatchObject({ code: "PHASE_TIMEOUT" });
  });

  it("says what it waits for when nothing else is seen, and how long still", async () => {
    let silenceMs = 0;
    const { runner, lines } = createRunner(() => silenceMs);
    runner.setLimits({ phasesMs: { machine: 300_000 } });
    await runner.run("machine", async ({ during }) => {
      await sleep(40);
      expect(lines).toEqual(["machine: started"]);
      silenceMs = 10;
      await during("the network", () => sleep(30));
      await sleep(30);
    });
    const signs = [...new Set(lines.slice(1, -1))];
    expect(signs).toEqual([
      "machine: waiting for the network, 0 s so far, at most 5 min more",
      "machine: at work, 0 s so far, at most 5 min more",
    ]);
  });

  it("says nothing between the words of somebody who types", async () => {
    const { runner, lines } = createRunner(() => 10_000);
    await runner.run("run", () => sleep(50), { isInteractive: true });
    expect(lines).toEqual(["run: started", expect.stringMatching(/^run: done/)]);
  });

  it.each([
    ["run", "TEST_TIMEOUT", "test"],
    ["fetch", "JOB_TIMEOUT", "infra"],
  ] as const)(
    "ends phase %s at the deadline even if it does not heed the signal",
    async (phase, code, blame) => {
      const { runner } = createRunner();
      runner.setLimits({ timeoutMs: 10 });
      await expect(runner.run(phase, forever)).rejects.toMatchObject({ code, blame });
    },
  );

  it("lets a phase with a limit of its own run after the deadline", async () => {
    const { runner } = createRunner();
    runner.setLimits({ timeoutMs: 1 });
    await expect(runner.run("run", forever)).rejects.toMatchObject({ code: "TEST_TIMEOUT" });
    expect(await runner.run("upload", async () => "kept")).toBe("kept");
  });

  it("does not call a phase done that came back only because it was told to stop", async () => {
    const { runner } = createRunner();
    runner.setLimits({ timeoutMs: 5 });
    const obedient = runner.run("run", ({ signal }) => {
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve(0)));
    });
    await expect(obedient).rejects.toMatchObject({ code: "TEST_TIMEOUT" });
  });
});
