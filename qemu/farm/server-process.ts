/**
 * One server of the farm as a process. Its output goes to a log file in the run directory; the line with its port
 * shows that it is ready. Servers bind port 0 themselves, so two farms never use the same port.
 */
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { startOwnedProcess } from "../owned-process.ts";

export interface ServerProcess {
  /** Resolves when the process group has ended. */
  stop(): Promise<void>;
}

export interface ServerStart {
  name: string;
  words: readonly string[];
  logPath: string;
  /** Matched against each line of output. Its groups are ports. */
  readyPattern: RegExp;
  env?: NodeJS.ProcessEnv;
  /** Stops the server. */
  signal?: AbortSignal;
  /** Called when it ends without a call of `stop`. */
  onDeath: (message: string) => void;
}

const READY_TIMEOUT_MS = 60_000;
const LAST_LINES = 10;

/** Starts the server and resolves with its ports. */
export async function startServer(
  start: ServerStart,
): Promise<ServerProcess & { port: number; otherPort: number }> {
  const owned = startOwnedProcess(start.words, start.env ? { env: start.env } : {});
  const log = createWriteStream(start.logPath, { flags: "a" });
  const lastLines: string[] = [];
  const kill = () => owned.kill();
  start.signal?.addEventListener("abort", kill);
  if (start.signal?.aborted) kill();
  let stopping = false;
  let isReady = false;
  const found = await new Promise<RegExpExecArray>((resolve, reject) => {
    const fail = (how: string) =>
      reject(
        new Error(`Cannot start ${start.name}: ${how}; its last lines: ${lastLines.join(" | ") || "none"}`),
      );
    const timer = setTimeout(() => {
      fail(`it was not ready within ${READY_TIMEOUT_MS / 1000} s`);
      owned.kill();
    }, READY_TIMEOUT_MS);
    for (const stream of [owned.child.stdout!, owned.child.stderr!]) {
      createInterface({ input: stream }).on("line", (line) => {
        log.write(`${line}\n`);
        lastLines.push(line);
        if (lastLines.length > LAST_LINES) lastLines.shift();
        const ready = start.readyPattern.exec(line);
        if (!ready || isReady) return;
        isReady = true;
        clearTimeout(timer);
        resolve(ready);
      });
    }
    owned.ended.then(
      ({ exitCode, signal }) => {
        clearTimeout(timer);
        start.signal?.removeEventListener("abort", kill);
        log.end();
        const how = `it ended with ${signal ?? exitCode}`;
        if (!isReady) fail(how);
        else if (!stopping && !start.signal?.aborted)
          start.onDeath(`${start.name}: ${how}; its last lines: ${lastLines.join(" | ")}`);
      },
      (error: Error) => {
        clearTimeout(timer);
        log.end();
        fail(error.message);
      },
    );
  });
  return {
    port: Number(found[1]),
    otherPort: Number(found[2]),
    stop: async () => {
      stopping = true;
      owned.kill();
      await owned.ended;
    },
  };
}
