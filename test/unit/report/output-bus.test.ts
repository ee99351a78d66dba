/** Who gets which output, and when a line of the agent waits for the test's line. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { createRedaction } from "../../../agent/redaction/redaction.ts";
import { OutputBus } from "../../../agent/report/output-bus.ts";

function createBus({ holdMs = 60_000 } = {}) {
  const shown: string[] = [];
  const sent: string[] = [];
  const logged: string[] = [];
  const stepLog: string[] = [];
  const redaction = createRedaction();
  redaction.hide("hunter2hunter2");
  const bus = new OutputBus({
    console: {
      line: (text) => shown.push(`${text}\n`),
      output: (chunk) => shown.push(chunk.toString()),
      beginOutput: ({ isInteractive }) => shown.push(isInteractive ? "(shell)" : ""),
      endOutput: () => shown.push("(end)"),
      flush: async () => {},
    },
    networkLog: {
      line: (text, origin = "dutboot") => sent.push(`${origin}: ${text}\n`),
      output: (chunk) => sent.push(chunk.toString()),
      endOutput: () => sent.push("(end)"),
      close: async () => {},
    },
    logFile: { write: (text) => logged.push(text.toString()) },
    redaction,
    holdMs,
  });
  const open = (options = {}) =>
    bus.openStep({
      isService: false,
      isInteractive: false,
      log: { write: (text) => stepLog.push(text.toString()), close: () => stepLog.push("(closed)") },
      ...options,
    });
  return { bus, shown, sent, logged, stepLog, open };
}

describe("output of a step", () => {
  it("goes to every sink, without secrets", () => {
    const { shown, sent, logged, stepLog, open } = createBus();
    const step = open();
    step.write(Buffer.from("a hunter2"));
    step.write(Buffer.from("hunter2 b\n"));
    step.end();
    expect(shown.join("")).toBe("a [hidden] b\n(end)");
    expect(sent.join("")).toBe("a [hidden] b\n(end)");
    expect(logged.join("")).toBe("a [hidden] b\n");
    expect(stepLog.join("")).toBe("a [hidden] b\n(closed)");
  });

  it("of a service goes to the log files only", () => {
    const { shown, sent, logged, stepLog, open } = createBus();
    const service = open({ isService: true });
    service.write(Buffer.from("ready\n"));
    service.end();
    expect([shown, sent]).toEqual([[], []]);
    expect(logged).toEqual(["ready\n"]);
    expect(stepLog).toEqual(["ready\n", "(closed)"]);
  });

  it("of an interactive step is announced as such", () => {
    const { shown, open } = createBus();
    open({ isInteractive: true }).end();
    expect(shown.join("")).toBe("(shell)(end)");
  });
});

describe("a line of the agent", () => {
  it("waits for the end of the test's line, except in the log file", () => {
    const { bus, shown, sent, logged, open } = createBus();
    const step = open();
    step.write(Buffer.from("hwci: mesa: exit_"));
    bus.logLine("agent");
    bus.kernelLine("kernel");
    expect(shown.join("")).toBe("hwci: mesa: exit_");
    expect(logged.join("")).toBe("hwci: mesa: exit_agent\n");
    step.write(Buffer.from("code: 0\nnext"));
    expect(shown.join("")).toBe("hwci: mesa: exit_code: 0\nagent\nnext");
    expect(sent.join("")).toBe("hwci: mesa: exit_code: 0\ndutboot: agent\nkernel: kernel\nnext");
  });

  it("does not wait longer than the limit", async () => {
    const { bus, shown, open } = createBus({ holdMs: 10 });
    open().write(Buffer.from("login: "));
    bus.line("agent");
    await expect.poll(() => shown.join("")).toBe("login: agent\n");
  });

  it("is released by a flush and by the end of the step", async () => {
    const { bus, shown, open } = createBus();
    const step = open();
    step.write(Buffer.from("half"));
    bus.line("flushed");
    await bus.flush();
    expect(shown.join("")).toBe("halfflushed\n");
    bus.line("ended");
    step.end();
    expect(shown.join("")).toBe("halfflushed\n(end)ended\n");
  });

  it("ends the silence, as output does", async () => {
    const { bus } = createBus();
    await sleep(20);
    expect(bus.readSilenceMs()).toBeGreaterThan(15);
    bus.line("agent");
    expect(bus.readSilenceMs()).toBeLessThan(15);
  });
});
