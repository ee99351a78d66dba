/**
 * Terminals and typed input: output through a pty, input from the console.
 */
import { execFileSync } from "node:child_process";
import { constants, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ContainerHost, prepareContainerHost } from "./container-host.ts";

let host: ContainerHost;
beforeAll(async () => {
  host = await prepareContainerHost();
});
afterAll(() => host.remove());

const hasTerminal = true;

test("a container with a terminal has a tty, TERM and /dev/console", async () => {
  const command =
    "test -t 0 && test -t 1 && test -t 2 && tty; echo $TERM; test -t 0 </dev/console && echo console";
  const { output, exit } = await host.run(command, { settings: { hasTerminal } });
  expect(output).toBe("/dev/pts/0\r\nxterm\r\nconsole\r\n");
  expect(exit?.exitCode).toBe(0);
});

test("without a terminal, input is empty and output is unchanged", async () => {
  const { output } = await host.run("test -t 1 || echo plain; cat; echo end");
  expect(output).toBe("plain\nend\n");
});

test("a large output is complete, and the exit code is returned", async () => {
  const { output, exit } = await host.run("seq 100000; exit 4", { settings: { hasTerminal } });
  expect(output).toHaveLength(688_895);
  expect(exit?.exitCode).toBe(4);
});

test("background processes with the terminal are killed when the test ends", async () => {
  const { exit, tookMs } = await host.run("setsid sleep 1000 & exit 5", { settings: { hasTerminal } });
  expect(exit?.exitCode).toBe(5);
  expect(tookMs).toBeLessThan(8000);
});

test("a program that cannot be executed is RUN_COMMAND_NOT_FOUND", async () => {
  const { error } = await host.run(["/bin/other-machine"], { settings: { hasTerminal } });
  expect(error).toBe("RUN_COMMAND_NOT_FOUND");
});

test("input that is kept open has no end of file", async () => {
  const { error, output } = await host.run("echo waits; exec cat", {
    settings: { keepsInputOpen: true },
    abortAfterMs: 1500,
  });
  expect(error).toBe("TimeoutError");
  expect(output).toBe("waits\n");
});

test.each([
  ["through a pipe", { keepsInputOpen: true }, "go\nread yes\n"],
  ["through a terminal, which echoes", { keepsInputOpen: true, hasTerminal }, "go\r\nyes\r\nread yes\r\n"],
])("the console's input %s", async (name, settings, expected) => {
  const consolePath = join(host.directory, `console ${name}`);
  execFileSync("mkfifo", [consolePath]);
  const fd = openSync(consolePath, constants.O_RDWR);
  let hasTyped = false;
  const { output, logs } = await host.run("echo go; read word; echo read $word", {
    settings,
    input: "console",
    options: { consolePath },
    onOutput: (soFar) => {
      if (!hasTyped && soFar.includes("go")) writeSync(fd, "yes\n");
      hasTyped ||= soFar.includes("go");
    },
  });
  expect(output, logs.join("\n")).toBe(expected);
});
