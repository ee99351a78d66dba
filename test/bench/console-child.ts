/**
 * The agent's part of the console benchmark, in its own process: a test that prints, its log file, and the console
 * given as the first argument, or none. Prints the result as JSON.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createPipe, setPipeSize } from "../../agent/kernel/files.ts";
import { ConsoleSet } from "../../agent/report/console/console.ts";
import { openConsole } from "../../agent/report/console/device.ts";
import { LogFile } from "../../agent/report/log/log-file.ts";
import { OUTPUT_PIPE_BYTES } from "../../agent/sys/limits.ts";

/** The result. */
export interface ConsoleRun {
  /** From the test's start to its end. */
  testMs: number;
  /** Of this process while the test ran. */
  cpuMs: number;
  /** When the test had ended, in ms since 1970. */
  endedAtMs: number;
}

const [path = "none", bytesPerSecond = "0", program = ""] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "console-bench-"));
const logFile = new LogFile(join(folder, "log"), (error) => {
  throw error;
});
const consoles = new ConsoleSet(path === "none" ? [] : [openConsole(path)], {
  readUptimeMs: () => process.uptime() * 1000,
});
consoles.setRate(basename(path), Number(bytesPerSecond));

const startedAt = performance.now();
const cpu = process.cpuUsage();
// As containers run (agent/sys/container/process.ts).
const { readFd, writeFd } = createPipe();
setPipeSize(writeFd, OUTPUT_PIPE_BYTES);
const output = new Socket({ fd: readFd, readable: true, writable: false });
output.on("data", (chunk: Buffer) => {
  consoles.output(chunk);
  logFile.write(chunk);
});
const test = spawn("awk", [program], { stdio: ["ignore", writeFd, "inherit"] });
closeSync(writeFd);
await Promise.all([once(test, "exit"), once(output, "close")]);
const { user, system } = process.cpuUsage(cpu);
const run: ConsoleRun = {
  testMs: performance.now() - startedAt,
  cpuMs: (user + system) / 1000,
  endedAtMs: Date.now(),
};
consoles.endOutput();
consoles.line("dutboot: verdict: pass exit_code=0");
await consoles.flush();
logFile.close();
rmSync(folder, { recursive: true });
process.stdout.write(JSON.stringify(run));
