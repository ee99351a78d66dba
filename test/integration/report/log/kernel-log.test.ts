/** The kernel's messages of this machine, as they are written to its log. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { keepKernelLog } from "../../../../agent/report/log/kernel-log.ts";
import { createAgentFiles } from "../../../../agent/report/results/agent-files.ts";
import { createTemporaryFolder } from "../../../temporary-folder.ts";

const createFiles = () =>
  createAgentFiles(createTemporaryFolder("kernel-log"), { warn() {}, redact: (text) => text });

it("keeps every message in a file, and passes on those that the console shows", () => {
  const files = createFiles();
  const shown: string[] = [];
  const log = keepKernelLog({
    files,
    clean: (line) => line.replace("hunter2", "[hidden]"),
    warn: (message) => expect.fail(message),
    onShownLine: (line) => shown.push(line),
  });
  const marker = `dutboot test ${process.pid}`;
  // Without its line end the kernel holds a message back for what may follow.
  writeFileSync("/dev/kmsg", `<0>${marker} <LAVA_SIGNAL_TESTCASE a> hunter2\n`);
  writeFileSync("/dev/kmsg", `<7>${marker} debug\n`);
  log.stop();
  const mine = (lines: string[]) =>
    lines.filter((line) => line.includes(marker)).map((line) => line.slice(15));
  const signal = `${marker} <LAVA_SIGNAL_TESTCASE a> [hidden]`;
  expect(mine(shown)).toEqual([signal]);
  expect(mine(readFileSync(join(files.folder, "kernel.log"), "utf8").split("\n"))).toEqual([
    signal,
    `${marker} debug`,
  ]);
});

it("warns where there is no kernel log", () => {
  const warnings: string[] = [];
  const options = { files: createFiles(), clean: (line: string) => line, onShownLine() {} };
  const log = keepKernelLog({ ...options, path: "/nonexistent", warn: (message) => warnings.push(message) });
  log.stop();
  expect(warnings).toEqual([expect.stringContaining("Cannot read the kernel's messages")]);
});
