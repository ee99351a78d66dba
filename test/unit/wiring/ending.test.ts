/** How a boot ends: the verdict once, the farm's lines, the commands of the job, and the machine. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AgentError } from "../../../agent/errors.ts";
import { readCommandLine } from "../../../agent/job/read-job.ts";
import { readSupervisorFacts } from "../../../agent/job/supervisor-facts.ts";
import type { BootResult } from "../../../agent/phases/boot.ts";
import { createAnnouncer } from "../../../agent/report/console/b2c-announcer.ts";
import type { EventBody } from "../../../agent/wire/event.ts";
import { createVerdict } from "../../../agent/wire/verdict.ts";
import { Ending, type EndingContext } from "../../../agent/wiring/ending.ts";
import { FactsFile } from "../../../agent/wiring/facts-file.ts";

const BOOT_ID = "1a2b3c4d";
const B2C = "b2c.run=docker://farm:5000/image";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dutboot-ending-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function createEnding(line: string, change: Partial<EndingContext> = {}) {
  /** Lines of the console, and in `<…>` what happened between them. */
  const shown: string[] = [];
  const events: EventBody[] = [];
  const written: string[] = [];
  const facts = new FactsFile(join(folder, "facts"), readSupervisorFacts(line));
  const { dialect } = facts.facts;
  const output = {
    line: (text: string) => void shown.push(...text.replaceAll("geheim", "[hidden]").split("\n")),
    flush: async () => {},
    close: async () => void shown.push("<console closed>"),
  };
  const context = {
    bootId: BOOT_ID,
    facts,
    announcer: createAnnouncer(dialect, { console: output, readUptimeMs: () => 0, nowMs: () => 0 }),
    output,
    events: { emit: (event: EventBody) => events.push(event), close: async () => {} },
    files: { write: (name: string) => written.push(name) },
    log: pino({ level: "silent" }),
    logFile: { write: () => {} },
    redaction: { clean: (text: string) => text, cleanValue: <T>(value: T) => value },
    runner: { records: [], firstFailure: undefined },
    source: { line },
    ...change,
  } as unknown as EndingContext;
  const ending = new Ending(context, {
    endMachine: async (mode) => void shown.push(`<${mode}>`),
    exit: (code) => void shown.push(`<exit ${code}>`),
    sleep: async (ms) => void (ms > 0 && shown.push(`<sleep ${ms}>`)),
  });
  const verdicts = () => shown.filter((text) => text.startsWith("dutboot: verdict:"));
  const rest = () =>
    shown.filter((text) => text !== "" && !/^dutboot: verdict:|section_|Running section/.test(text));
  return { ending, facts, events, written, verdicts, rest };
}

const pass = (line: string, more: Partial<BootResult> = {}): BootResult => ({
  verdict: createVerdict({ bootId: BOOT_ID, records: [] }, 0),
  job: readCommandLine(line).job,
  ...more,
});
const steps = (more = {}) => ({ exitCode: 0, variables: {}, ...more });

describe("the verdict", () => {
  it("is printed three times, to the events, to a file, and to the supervisor", async () => {
    const { ending, facts, events, written, verdicts } = createEnding("dut.image=farm:5000/image");
    await ending.finish(pass("dut.image=farm:5000/image"));
    expect(verdicts()).toEqual(
      [1, 2, 3].map((number) => expect.stringMatching(`pass exit_code=0 .${number}/3`)),
    );
    expect(events).toMatchObject([{ event: "end", verdict: { verdict: "pass" } }]);
    expect(written).toEqual(["verdict.json"]);
    expect(facts.facts).toMatchObject({ isVerdictPrinted: true, isEndAnnounced: true });
  });

  it("comes once, whatever fails meanwhile", async () => {
    const { ending, verdicts, events, rest } = createEnding("dut.image=farm:5000/image");
    const first = ending.finish(pass("dut.image=farm:5000/image"));
    await Promise.all([first, ending.fail(new Error("late")), ending.finish(pass(""))]);
    await ending.fail(new Error("later"));
    expect(verdicts()).toHaveLength(3);
    expect(events).toHaveLength(1);
    expect(rest()).toEqual(["<console closed>", "<poweroff>"]);
  });

  it.each<[string, Partial<EndingContext>, object]>([
    ["an error outside of every phase", {}, { code: "BUG_UNEXPECTED", phase: "fetch" }],
    [
      "an earlier failure of a phase",
      {
        runner: {
          records: [],
          firstFailure: { phase: "machine", error: new AgentError("RUN_CONTAINER_FAILED", "Cannot") },
        } as never,
      },
      { code: "RUN_CONTAINER_FAILED", phase: "machine" },
    ],
  ])("names %s", async (_name, change, error) => {
    const { ending, facts, events } = createEnding("dut.image=farm:5000/image", change);
    facts.update({ phase: "fetch" });
    await ending.fail(new TypeError("x is not a function"));
    expect(events).toMatchObject([{ verdict: { verdict: "error", error } }]);
  });

  it("is left to the supervisor where the end fails", async () => {
    const files = {
      write: () => {
        throw new Error("no room for geheim");
      },
    } as never;
    const { ending, facts, verdicts, rest } = createEnding("dut.image=farm:5000/image", { files });
    await ending.finish(pass("dut.image=farm:5000/image"));
    expect(verdicts()).toEqual([]);
    expect(rest()).toEqual([
      expect.stringMatching(/^dutboot: the end is left to init: .*\[hidden\]/),
      "<exit 1>",
    ]);
    expect(facts.facts.isVerdictPrinted).toBe(false);
  });
});

const OVER = "[0.00]: Execution is over, pipeline status: 1";
const SAFE = "[0.00]: It's now safe to turn off your computer";
const REBOOTING = "[0.00]: Rebooting the computer";

describe("the machine", () => {
  it.each<[string, string, Partial<BootResult>, string[]]>([
    ["is powered off", "dut.image=farm:5000/image", {}, ["<console closed>", "<poweroff>"]],
    ["is rebooted", "dut.image=farm:5000/image dut.on_exit=reboot", {}, ["<console closed>", "<reboot>"]],
    [
      "is halted by the supervisor",
      "dut.image=farm:5000/image dut.on_exit=halt",
      {},
      ["<console closed>", "<exit 0>"],
    ],
    [
      "waits before it is powered off",
      "dut.image=farm:5000/image dut.poweroff_delay=5s",
      {},
      ["<sleep 5000>", "<console closed>", "<poweroff>"],
    ],
    [
      "is rebooted for a line without a job",
      "dut.on_exit=reboot",
      { job: undefined },
      ["<console closed>", "<reboot>"],
    ],
    [
      "is powered off for boot2container",
      B2C,
      {},
      [OVER, SAFE, "+ poweroff -f", "<console closed>", "<poweroff>"],
    ],
    [
      "is rebooted by a container",
      B2C,
      { steps: steps({ endsMachine: "reboot" }) },
      [OVER, REBOOTING, "+ reboot -f", "<console closed>", "<reboot>"],
    ],
    [
      "waits for boot2container's farm, also for an invalid job",
      `${B2C} b2c.poweroff_delay=15`,
      { job: undefined },
      [OVER, SAFE, "sleep 15", "<sleep 15000>", "+ poweroff -f", "<console closed>", "<poweroff>"],
    ],
    [
      "runs the farm's commands, up to the one that ends it",
      `${B2C} b2c.shutdown_cmd="echo status $B2C_PIPELINE_STATUS; sleep 1 2 x; reboot -f; echo never"`,
      { steps: steps({ variables: { B2C_PIPELINE_STATUS: "0" } }) },
      [
        ...[OVER, SAFE, "+ echo status 0", "status 0", "+ sleep 1 2 x", "<sleep 3000>", "+ reboot -f"],
        ...["<console closed>", "<reboot>"],
      ],
    ],
  ])("%s", async (_name, line, more, expected) => {
    const { ending, facts, rest } = createEnding(line);
    const result = pass(line, more);
    facts.update({ onExit: result.job?.onExit ?? facts.facts.onExit });
    await ending.finish(result);
    expect(rest()).toEqual(expected);
  });
});
