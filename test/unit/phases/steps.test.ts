import pino from "pino";
import { expect, it } from "vitest";
import { AgentError } from "../../../agent/errors.ts";
import type { Step } from "../../../agent/job/step.ts";
import type { PhaseContext } from "../../../agent/phases/phase-runner.ts";
import { runSteps, type StepsAdapters } from "../../../agent/phases/steps.ts";
import { createAnnouncer } from "../../../agent/report/console/b2c-announcer.ts";
import type { ContainerExit } from "../../../agent/sys/container/container.ts";
import type { EventBody } from "../../../agent/wire/event.ts";

const step = (kind: Step["kind"], ...argv: string[]): Step => ({
  kind,
  argv,
  env: [],
  envFiles: [],
  container: {},
});

const exit = (exitCode: number, more: Partial<ContainerExit> = {}): ContainerExit => ({
  exitCode,
  endedBy: "exit",
  oomKilled: false,
  timedOut: false,
  ...more,
});

/** Steps whose commands are their own answers: what `answers` says for the first word, 0 for the others. */
async function run(
  steps: Step[],
  answers: Record<string, ContainerExit | AgentError>,
  dialect: "dut" | "b2c" = "dut",
) {
  const events: EventBody[] = [];
  const adapters: StepsAdapters = {
    openStepRoot: async () => ({
      root: { path: "/root" } as never,
      config: { env: [], entrypoint: [], cmd: [], workingDir: "/", user: "" },
      release: async () => {},
    }),
    async runContainer({ step: { argv = [] } }) {
      const answer = answers[argv[0] ?? ""] ?? exit(0);
      if (answer instanceof AgentError) throw answer;
      return answer;
    },
    volumes: {
      runHooks: async () => {},
      resolveMounts: () => ({ mounts: [], tmpfs: [] }),
      noteRun: () => {},
    },
    announcer: createAnnouncer("dut", { console: { line: () => {} }, readUptimeMs: () => 0 }),
    emit: (event) => events.push(event),
    openOutput: () => ({ write: () => {}, end: () => {} }),
  };
  const context: PhaseContext = {
    log: pino({ level: "silent" }),
    signal: new AbortController().signal,
    during: (_what, work) => work(),
  };
  const result = await runSteps({ dialect, steps }, context, adapters);
  return {
    result,
    events: events.map(({ ...event }) => ("durationMs" in event ? { ...event, durationMs: 0 } : event)),
  };
}

it("reports the start and the end of every step", async () => {
  const broken = new AgentError("RUN_CONTAINER_FAILED", "Cannot start");
  const { result, events } = await run(
    [step("main", "a", "TOKEN=geheim"), step("main", "b"), step("post", "c")],
    {
      a: exit(7, { oomKilled: true }),
      b: broken,
      c: exit(255, { timedOut: true }),
    },
  );
  expect(result).toMatchObject({ exitCode: 7, failure: { code: "TEST_OUT_OF_MEMORY", blame: "test" } });
  expect(events).toEqual([
    { event: "step_start", id: "dutboot-1", kind: "main", name: "a TOKEN=[hidden]" },
    { event: "step_end", id: "dutboot-1", exitCode: 7, oomKilled: true, durationMs: 0 },
    { event: "step_start", id: "dutboot-2", kind: "main", name: "b" },
    { event: "step_end", id: "dutboot-2", exitCode: null, error: "RUN_CONTAINER_FAILED", durationMs: 0 },
    { event: "step_start", id: "dutboot-3", kind: "post", name: "c" },
    { event: "step_end", id: "dutboot-3", exitCode: 255, timedOut: true, durationMs: 0 },
  ]);
});

it("counts a step that passes though memory ran out", async () => {
  const { result } = await run([step("main", "a")], { a: exit(0, { oomKilled: true }) });
  expect(result).toMatchObject({ exitCode: 0 });
  expect(result.failure).toBeUndefined();
});

it("does not blame a later step's memory for the first one's failure", async () => {
  const { result } = await run([step("main", "a"), step("main", "b")], {
    a: exit(3),
    b: exit(137, { oomKilled: true }),
  });
  expect(result).toMatchObject({ exitCode: 3 });
  expect(result.failure).toBeUndefined();
});

it("runs the remaining steps of boot2container's pipeline after one that ends the machine", async () => {
  const answers = { a: exit(129, { endedBy: "reboot" }), c: exit(130, { endedBy: "poweroff" }) };
  const steps = [step("main", "a"), step("main", "b"), step("main", "c"), step("main", "d")];
  const { result, events } = await run(steps, answers, "b2c");
  expect(events.filter(({ event }) => event === "step_start")).toHaveLength(4);
  expect(result).toMatchObject({ exitCode: 129, endsMachine: "poweroff" });
});
