/**
 * Runs a short program of the initrd (busybox, ip) and returns its output. Frequent calls use agent/kernel instead.
 */
import { execFile } from "node:child_process";
import { NETWORK_COMMAND_MS } from "./limits.ts";

class ToolError extends Error {
  readonly argv: readonly string[];

  constructor(argv: readonly string[], answer: string) {
    super(`${argv.join(" ")}: ${answer}`);
    this.name = "ToolError";
    this.argv = argv;
  }
}

/** Standard output; throws ToolError with the program's last line of errors when it fails. */
export function runTool(
  argv: readonly [string, ...string[]],
  { timeoutMs = NETWORK_COMMAND_MS } = {},
): Promise<string> {
  const [program, ...words] = argv;
  return new Promise((resolve, reject) => {
    execFile(program, words, { timeout: timeoutMs, killSignal: "SIGKILL" }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      const answer =
        stderr.trim().split("\n").at(-1) ||
        (error.killed ? `not finished after ${timeoutMs} ms` : error.message);
      reject(new ToolError(argv, answer));
    });
  });
}
