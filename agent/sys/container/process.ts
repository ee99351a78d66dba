/**
 * The runtime as a child process: its output and terminal on the way out, the console on the way in, and its end, which
 * comes by itself or in steps.
 */
import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { ReadStream } from "node:tty";
import { AgentError } from "../../errors.ts";
import { isKernelError } from "../../kernel/errno.ts";
import { listenForDescriptor } from "../../kernel/passed-descriptor.ts";
import { createPipe, setPipeSize } from "../../kernel/pipes.ts";
import { openTerminalOf } from "../../kernel/terminal.ts";
import { OUTPUT_PIPE_BYTES } from "../limits.ts";
import type { SysLog } from "../sys-log.ts";
import type { TestCgroup } from "./cgroup.ts";
import { connectConsole } from "./console-input.ts";
import { type StopPlan, stopInSteps } from "./stop.ts";

export interface RuntimeProcess {
  /** Of the runtime up to its `run` and that one's options; the id comes last. */
  argv: string[];
  id: string;
  hasTerminal: boolean;
  keepsInputOpen: boolean;
  /** Whose input is the container's. */
  consolePath?: string;
  terminalSocketPath: string;
  onOutput: (chunk: Buffer) => void;
}

export interface EndOptions {
  log: SysLog;
  cgroup: TestCgroup;
  drainMs: number;
  stop: StopPlan & { timeoutMs?: number };
  signal?: AbortSignal;
}

export async function runToItsEnd(
  runtime: RuntimeProcess,
  { log, cgroup, drainMs, stop, signal }: EndOptions,
): Promise<{ exitCode: number; timedOut: boolean }> {
  const streams = startRuntime(runtime, log);
  const stopNow = () => {
    stopInSteps(stop, streams.ended, { log, cgroup }).catch(streams.fail);
  };
  let timedOut = false;
  const timer =
    stop.timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          log.warn(`run: the container's ${stop.timeoutMs! / 1000} s are over, everything of it is killed`);
          cgroup.kill();
        }, stop.timeoutMs);
  signal?.addEventListener("abort", stopNow, { once: true });
  try {
    return { exitCode: await streams.ended, timedOut };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stopNow);
    // What the test left behind outside its PID namespace's reach would hold the output, and go on during the upload.
    if (!cgroup.isEmpty()) cgroup.kill();
    await streams.drain(drainMs);
  }
}

function startRuntime(runtime: RuntimeProcess, log: SysLog) {
  const { onOutput, hasTerminal, consolePath } = runtime;
  const ended = Promise.withResolvers<number>();
  const outputs: Socket[] = [];
  const follow = (output: Socket) => {
    outputs.push(output);
    output.on("data", onOutput);
    // A terminal whose last user is gone says EIO.
    output.on("error", () => output.destroy());
  };
  const { readFd, writeFd } = createPipe();
  // A moment in which the agent is busy must not hold up a test that prints.
  setPipeSize(writeFd, OUTPUT_PIPE_BYTES);
  follow(new Socket({ fd: readFd, readable: true, writable: false }));
  const input = hasTerminal || !(runtime.keepsInputOpen || consolePath) ? undefined : createPipe();
  const terminal = hasTerminal ? listenForDescriptor(runtime.terminalSocketPath) : undefined;
  const closers: (() => void)[] = [];
  let heldFd: number | undefined;
  const connect = (sink: Socket) => {
    if (consolePath) closers.push(connectConsole(consolePath, sink, { isRaw: hasTerminal, log }));
  };
  const terminalOpen = terminal?.receive().then(
    (fd) => {
      // An init lets go of its console and takes it up again; without another user the terminal would be gone by then.
      heldFd = openTerminalIfAlive(fd);
      const master = new ReadStream(fd);
      follow(master);
      connect(master);
    },
    () => undefined, // the runtime ended before it had one, and says why
  );
  terminalOpen?.catch(ended.reject);
  try {
    const [program = "", ...words] = runtime.argv;
    const socketWords = hasTerminal ? ["--console-socket", runtime.terminalSocketPath] : [];
    const child = spawn(program, [...words, ...socketWords, runtime.id], {
      stdio: [input?.readFd ?? "ignore", writeFd, writeFd],
    });
    child.once("error", (cause) => {
      const message = `Cannot start the container runtime "${program}": ${cause.message}`;
      ended.reject(new AgentError("RUN_CONTAINER_FAILED", message, { cause }));
    });
    child.once("exit", (code, signalName) => {
      ended.resolve(code ?? 128 + (constants.signals[signalName ?? "SIGKILL"] ?? 9));
    });
  } finally {
    closeSync(writeFd);
    if (input) closeSync(input.readFd);
  }
  if (input) {
    const sink = new Socket({ fd: input.writeFd, readable: false, writable: true });
    sink.on("error", () => sink.destroy()); // nobody reads any more
    closers.push(() => sink.destroy());
    connect(sink);
  }
  return {
    ended: ended.promise,
    fail: ended.reject,
    /** Until nobody can write any more, or a stray has been waited for long enough. */
    async drain(drainMs: number): Promise<void> {
      terminal?.close();
      await terminalOpen;
      if (heldFd !== undefined) closeSync(heldFd);
      const closed = Promise.all(outputs.map((output) => waitForClose(output)));
      const patience = new AbortController();
      const late = sleep(drainMs, "late", { signal: patience.signal }).catch(() => undefined);
      if ((await Promise.race([closed, late])) === "late") {
        log.warn("run: somebody still holds the test's output open; what comes now is not read any more");
      }
      patience.abort();
      for (const output of outputs) output.destroy();
      for (const close of closers) close();
    },
  };
}

/** A container that ended at once has taken the terminal with it; what it printed can still be read. */
function openTerminalIfAlive(masterFd: number): number | undefined {
  try {
    return openTerminalOf(masterFd);
  } catch (error) {
    if (isKernelError(error, "ENODEV", "EIO", "ENXIO")) return undefined;
    throw error;
  }
}

function waitForClose(output: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (output.closed) resolve();
    else output.once("close", () => resolve());
  });
}
