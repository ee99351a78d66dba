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

test("it is a terminal, with a name, a kind and a console", async () => {
  const command =
    "test -t 0 && test -t 1 && test -t 2 && tty; echo $TERM; test -t 0 </dev/console && echo console";
  const { output, exit } = await host.run(command, { settings: { hasTerminal } });
  expect(output).toBe("/dev/pts/0\r\nxterm\r\nconsole\r\n");
  expect(exit?.exitCode).toBe(0);
});

test("without one, input is at its end and output is plain", async () => {
  const { output } = await host.run("test -t 1 || echo plain; cat; echo end");
  expect(output).toBe("plain\nend\n");
});

test("a large output arrives completely, with the exit code", async () => {
  const { output, exit } = await host.run("seq 100000; exit 4", { settings: { hasTerminal } });
  expect(output).toHaveLength(688_895);
  expect(exit?.exitCode).toBe(4);
});

test("processes that hold the terminal end with the test", async () => {
  const { exit, tookMs } = await host.run("setsid sleep 1000 & exit 5", { settings: { hasTerminal } });
  expect(exit?.exitCode).toBe(5);
  expect(tookMs).toBeLessThan(8000);
});

test("a program that cannot be run has its own error", async () => {
  const { error } = await host.run(["/bin/other-machine"], { settings: { hasTerminal } });
  expect(error).toBe("RUN_COMMAND_NOT_FOUND");
});

test("open input without a writer never ends", async () => {
  const { error, output } = await host.run("echo waits; exec cat", {
    settings: { keepsInputOpen: true },
    abortAfterMs: 1500,
  });
  expect(error).toBe("TimeoutError");
  expect(output).toBe("waits\n");
});

test.each([
  ["by a pipe", { keepsInputOpen: true }, "go\nread yes\n"],
  ["by a terminal, which echoes", { keepsInputOpen: true, hasTerminal }, "go\r\nyes\r\nread yes\r\n"],
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
