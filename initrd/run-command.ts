/**
 * Runs a program of the host to its end and returns what it printed; a failure shows the program's last words.
 * Nothing here goes through a shell, so no name or path needs quoting.
 */
import { spawn } from "node:child_process";
import { BuildError } from "./build-error.ts";

const SHOWN_STDERR_LINES = 15;

export interface RunOptions {
  cwd?: string;
  /** Added to this process's environment; undefined takes a name out of it. */
  env?: Readonly<Record<string, string | undefined>>;
  input?: string;
  signal?: AbortSignal;
}

/** Standard output of the program; BuildError when it cannot start or ends with anything but 0. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { cwd, env, input, signal } = options;
  const child = spawn(command, args, {
    cwd,
    signal,
    // depmod and chroot are in /usr/sbin, which a shell of plain `su` does not search.
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: "C.UTF-8", ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk) => out.push(chunk));
  child.stderr.on("data", (chunk) => err.push(chunk));
  child.stdin.on("error", () => {}); // a program that does not read its input is judged by its exit code
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
