/**
 * Runs a program of the host and returns its output. An error contains the last lines of stderr.
 * No shell is involved, so nothing needs quoting.
 */
import { spawn } from "node:child_process";
import { BuildError } from "./build-error.ts";

const SHOWN_STDERR_LINES = 15;

export interface RunOptions {
  cwd?: string;
  /** Added to this process's environment; undefined removes a variable. */
  env?: Readonly<Record<string, string | undefined>>;
  input?: string;
  signal?: AbortSignal;
}

/** Returns stdout. Throws BuildError if the program cannot start or exits with a code other than 0. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { cwd, env, input, signal } = options;
  const child = spawn(command, args, {
    cwd,
    signal,
    // depmod and chroot are in /usr/sbin, which is not in PATH after a plain `su`.
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: "C.UTF-8", ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk) => out.push(chunk));
  child.stderr.on("data", (chunk) => err.push(chunk));
  child.stdin.on("error", () => {}); // the exit code decides, even if the program does not read its input
  child.stdin.end(input ?? "");
  const words = `${command} ${args.join(" ")}`;
  const ending = await new Promise<string | number>((resolve, reject) => {
    child.on("error", (cause) => {
      const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
      const hint = "Run `npm run setup`: it installs what the host needs";
      reject(
        new BuildError(`Cannot run "${command}": ${cause.message}`, missing ? { cause, hint } : { cause }),
      );
    });
    child.on("close", (code, signalName) => resolve(code ?? signalName ?? "no exit code"));
  });
  if (ending === 0) return Buffer.concat(out).toString("utf8");
  const lastWords = Buffer.concat(err)
    .toString("utf8")
    .trimEnd()
    .split("\n")
    .slice(-SHOWN_STDERR_LINES)
    .join("\n  ");
  throw new BuildError(`Cannot run "${words}": it ended with ${ending}\n  ${lastWords}`);
}
