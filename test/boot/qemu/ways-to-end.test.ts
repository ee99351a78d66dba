/** Each way in which a guest can end has its own result, and only one of them is a pass. */
import { execFile } from "node:child_process";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ErrorCode } from "../../../agent/errors.ts";
import { formatVerdictLines } from "../../../agent/wire/verdict.ts";
import type { BootOptions, Outcome } from "../../../qemu/boot-dut.ts";
import { locateTestKernel } from "./test-kernel.ts";
import { createTinyGuest, type TinyGuest } from "./tiny-guest.ts";

const record = (verdict: object) =>
  `echo '${JSON.stringify({ v: 1, seq: 0, uptimeMs: 1, event: "end", peakRssBytes: 0, verdict: { version: 1, bootId: "00000001", phases: [], ...verdict } })}' > $port\n`;
const PASS = record({ verdict: "pass", exitCode: 0 });
const START = `echo '${JSON.stringify({ v: 1, seq: 0, uptimeMs: 1, event: "start", agent: "0", bootId: "00000002" })}' > $port\n`;
const OFF = "poweroff -f\n";
const CLAIM = formatVerdictLines("dutboot: verdict: pass exit_code=0", "00000001")
  .map((line) => `echo '${line}'\n`)
  .join("");

interface Case {
  name: string;
  script: string;
  outcome: Outcome;
  exitCode: number;
  /** Set if there is no verdict. */
  code?: ErrorCode;
  message?: RegExp;
  options?: Partial<BootOptions>;
}

const CASES: readonly Case[] = [
  { name: "a pass", script: PASS + OFF, outcome: "ended", exitCode: 0 },
  {
    name: "guest exit 123",
    script: record({ verdict: "fail", exitCode: 123 }) + OFF,
    outcome: "ended",
    exitCode: 123,
  },
  {
    name: "a test's code that looks like one of ours",
    script: record({ verdict: "fail", exitCode: 204 }) + OFF,
    outcome: "ended",
    exitCode: 200,
  },
  {
    name: "an error of ours",
    script:
      record({
        verdict: "error",
        exitCode: null,
        error: { code: "JOB_TIMEOUT", blame: "test", phase: "run", message: "m", hint: "h" },
      }) + OFF,
    outcome: "ended",
    exitCode: 203,
  },
  { name: "a pass, then a reset", script: `${PASS}reboot -f\n`, outcome: "ended", exitCode: 0 },
  {
    name: "a pass, then a machine that stays on",
    script: `${PASS}sleep 1000\n`,
    outcome: "ended",
    exitCode: 0,
    message: /did not power off/,
    options: { endGraceMs: 500 },
  },
  {
    name: "a kernel panic after words of success",
    script: `${CLAIM}exit 7\n`,
    outcome: "panic",
    code: "KERNEL_PANIC",
    exitCode: 201,
    message: /panicked: Attempted to kill init! exitcode=0x00000700/,
  },
  {
    name: "a panic in the kernel's own crash path",
    script: `${CLAIM}echo c > /proc/sysrq-trigger\n`,
    outcome: "panic",
    code: "KERNEL_PANIC",
    exitCode: 201,
    message: /sysrq triggered crash/,
  },
  {
    name: "a hang that keeps talking",
    script: "while :; do echo still here; sleep 1; done\n",
    outcome: "timeout",
    code: "MACHINE_TIMEOUT",
    exitCode: 201,
    message: /did not end within 45 s/,
    options: { timeoutMs: 45_000 },
  },
  {
    name: "silence",
    script: "echo last words; sleep 1000\n",
    outcome: "silent",
    code: "CONSOLE_SILENT",
    exitCode: 201,
    message: /silent for 20 s; the last line was "last words"/,
    // The kernel prints while it starts; the silence begins afterwards.
    options: { silenceMs: 20_000, commandLine: "" },
  },
  {
    name: "no final record, though the console says pass",
    script: CLAIM + OFF,
    outcome: "no-record",
    code: "NO_VERDICT",
    exitCode: 201,
    message: /without its final record/,
  },
  {
    name: "a final record that was cut",
    script: `printf '%s' '${JSON.stringify({ v: 1, seq: 0, uptimeMs: 1, event: "end" })}' > $port\n${OFF}`,
    outcome: "no-record",
    code: "NO_VERDICT",
    exitCode: 201,
  },
  {
    name: "a final record that another line follows",
    script: `${PASS}echo more > $port\n${OFF}`,
    outcome: "no-record",
    code: "NO_VERDICT",
    exitCode: 201,
  },
  {
    name: "a verdict that contradicts itself",
    script: record({ verdict: "pass", exitCode: 1 }) + OFF,
    outcome: "no-record",
    code: "NO_VERDICT",
    exitCode: 201,
  },
  {
    name: "a final record of another boot",
    script: `${START}${PASS}${OFF}`,
    outcome: "no-record",
    code: "NO_VERDICT",
    exitCode: 201,
  },
  {
    name: "a test that prints a panic and passes",
    script: `echo 'Kernel panic - not syncing: in a log'\n${PASS}${OFF}`,
    outcome: "ended",
    exitCode: 0,
  },
];

let guest: TinyGuest;
beforeAll(async () => {
  guest = await createTinyGuest(await locateTestKernel());
});
afterAll(() => guest.remove());

describe.concurrent("the harness", () => {
  it.for(CASES)("reports $name", async ({ script, outcome, exitCode, code, message, options }) => {
    const result = await guest.boot(script, options);
    const console = await readFile(result.consolePath, "latin1");
    expect({ outcome: result.outcome, exitCode: result.exitCode }, `${result.message}\n${console}`).toEqual({
      outcome,
      exitCode,
    });
    if (message) expect(result.message).toMatch(message);
    expect(result.verdict === undefined).toBe(outcome !== "ended");
    expect(result.code).toBe(code);
  });

  it("reports a QEMU that does not start", async () => {
    const result = await guest.boot("", { extraArguments: ["-device", "no-such-device"] });
    expect(result).toMatchObject({ outcome: "qemu-failed", code: "QEMU_FAILED", exitCode: 201 });
    expect(result.message).toMatch(/no-such-device/);
  });

  it("keeps what is needed to repeat the boot", async () => {
    const result = await guest.boot(PASS + OFF);
    const run = join(result.consolePath, "..");
    expect((await readdir(run)).sort()).toEqual([
      "command-line.txt",
      "console.log",
      "events.jsonl",
      "qemu-command.sh",
      "results",
    ]);
    expect(await readFile(join(run, "qemu-command.sh"), "utf8")).toContain(result.qemuCommand);
    expect(result.qemuCommand).toContain("-append 'console=ttyS0,115200 panic=-1 quiet'");
    expect(result.upMs).toBeGreaterThan(0);

    await rm(result.eventsPath);
    const { stdout } = await promisify(execFile)("sh", [join(run, "qemu-command.sh")]);
    expect(stdout).toContain("Power down");
    expect(await readFile(result.eventsPath, "utf8")).toContain('"verdict":"pass"');
  });
});
