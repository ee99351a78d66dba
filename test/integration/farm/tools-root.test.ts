/**
 * The tools root: its programs see the host's paths and not the other way round, and are the processes that were started.
 */
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runProcess } from "../../../qemu/run-process.ts";
import { ensureToolsRoot, type ToolsRoot } from "../../../qemu/tools-root.ts";
import { findProcesses } from "./find-processes.ts";

let tools: ToolsRoot;
let folder: string;

beforeAll(async () => {
  tools = await ensureToolsRoot({ log: () => {} });
  folder = await mkdtemp(join(tmpdir(), "dutboot-tools-"));
});
afterAll(() => rm(folder, { recursive: true }));

test("has QEMU 10 or later, which works with Linux 6.12", async () => {
  const version = /version (\d+)/.exec(await tools.run("qemu-system-x86_64", ["--version"]))?.[1];
  expect(Number(version)).toBeGreaterThanOrEqual(10);
});

test("keeps the working folder writable", async () => {
  const output = await tools.run("sh", ["-c", "pwd; echo written > file"], { cwd: folder });
  expect(output).toBe(`${folder}\n`);
  expect(await readFile(join(folder, "file"), "utf8")).toBe("written\n");
});

test("is read-only", async () => {
  await expect(tools.run("sh", ["-c", "echo x > /usr/x"])).rejects.toThrow(/Read-only file system/);
});

test("binds a folder of the host for one program only", async () => {
  await mkdir(join(folder, "swift"));
  await writeFile(join(folder, "swift/mine"), "bound");
  const read = ["-c", "cat /etc/swift/mine"];
  expect(await tools.run("sh", read, { bind: { "/etc/swift": join(folder, "swift") } })).toBe("bound");
  await expect(tools.run("sh", read)).rejects.toThrow(/No such file/);
});

test("starts the program as the process that is killed and leaves no mount", async () => {
  const child = tools.spawn("sh", ["-c", `echo $$; exec sleep 60.${process.pid}`], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(child.stdout!, "data");
  expect(Number(line)).toBe(child.pid);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(await findProcesses(`60.${process.pid}`)).toEqual([]);
  expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(tools.path);
});

test("reports a program's exit code and the end of its stderr", async () => {
  const child = tools.spawn("sh", ["-c", "echo said; exit 123"], { stdio: ["ignore", "pipe", "inherit"] });
  const [[code], output] = await Promise.all([once(child, "exit"), text(child.stdout!)]);
  expect([code, output]).toEqual([123, "said\n"]);
  await expect(tools.run("sh", ["-c", "echo reason >&2; exit 7"])).rejects.toThrow(/ended with 7: reason/);
  await expect(tools.run("no-such-program", [])).rejects.toThrow(/no-such-program/);
});

test("formats a command for a shell", async () => {
  const line = tools.describeCommand("printf", ["%s|", "a b", "it's", "$HOME"]);
  expect(await runProcess(["sh", "-c", line])).toBe("a b|it's|$HOME|");
});
