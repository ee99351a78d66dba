/**
 * The container runtime as a child process: its output, its terminal, its input from the console, and its end.
 */
import { spawn } from "node:child_process";
import { closeSync, constants as fsConstants, openSync, readFileSync } from "node:fs";
import { Socket } from "node:net";
import { constants } from "node:os";
import { isatty, ReadStream } from "node:tty";
import { AgentError } from "../../errors.ts";
import { isKernelError } from "../../kernel/errno.ts";
import { createPipe, setPipeSize } from "../../kernel/files.ts";
import { listenForDescriptor } from "../../kernel/passed-descriptor.ts";
import { openTerminalOf } from "../../kernel/terminal.ts";
import { CONTAINER_KILL_WAIT_MS, OUTPUT_PIPE_BYTES } from "../limits.ts";
import type { SysLog } from "../sys-log.ts";
import { settlesWithin } from "../waits.ts";
import { sendSignal, type TestCgroup } from "./cgroup.ts";

export interface RuntimeProcess {
  /** The runtime and its arguments, without the id, which comes last. */
  argv: string[];
  id: string;
  hasTerminal: boolean;
  keepsInputOpen: boolean;
  /** The console that the container reads from. */
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
          log.warn(`run: killing the container, its time limit of ${stop.timeoutMs! / 1000} s has passed`);
          cgroup.kill();
        }, stop.timeoutMs);
  signal?.addEventListener("abort", stopNow, { once: true });
  try {
    return { exitCode: await streams.ended, timedOut };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stopNow);
    // Processes outside its PID namespace would hold the output open and run during the upload.
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
    // A terminal without users fails with EIO.
    output.on("error", () => output.destroy());
  };
  const { readFd, writeFd } = createPipe();
  // A busy agent must not block a test that prints.
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
      // An init closes its console and opens it again; without another user the terminal would vanish in between.
      heldFd = openTerminalIfAlive(fd);
      const master = new ReadStream(fd);
      follow(master);
      connect(master);
    },
    () => undefined, // the runtime failed before, and reports why
  );
  terminalOpen?.catch(ended.reject);
  try {
    const [program = "", ...args] = runtime.argv;
    const socketArgs = hasTerminal ? ["--console-socket", runtime.terminalSocketPath] : [];
    const child = spawn(program, [...args, ...socketArgs, runtime.id], {
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
    sink.on("error", () => sink.destroy()); // the container no longer reads
    closers.push(() => sink.destroy());
    connect(sink);
  }
  return {
    ended: ended.promise,
    fail: ended.reject,
    /** Waits until every writer has closed the output, at most `drainMs`. */
    async drain(drainMs: number): Promise<void> {
      terminal?.close();
      await terminalOpen;
      if (heldFd !== undefined) closeSync(heldFd);
      const closed = Promise.all(outputs.map((output) => waitForClose(output)));
      if (!(await settlesWithin(closed, drainMs))) {
        log.warn("run: a process still holds the test's output open; its further output is lost");
      }
      for (const output of outputs) output.destroy();
      for (const close of closers) close();
    },
  };
}

/** undefined where the container has already ended; its output can still be read. */
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

/** Passes the console's input to the container; returns a function that ends it. `isRaw`: the container's terminal echoes and edits. */
function connectConsole(
  path: string,
  sink: Socket,
  { isRaw, log }: { isRaw: boolean; log: SysLog },
): () => void {
  let fd: number;
  try {
    fd = openSync(path, fsConstants.O_RDONLY | fsConstants.O_NOCTTY | fsConstants.O_NONBLOCK);
  } catch (error) {
    log.warn(`run: no input, cannot open the console "${path}": ${(error as Error).message}`);
    return () => {};
  }
  try {
    const source = isatty(fd) ? new ReadStream(fd) : new Socket({ fd, readable: true, writable: false });
    if (isRaw && source instanceof ReadStream) source.setRawMode(true);
    source.on("error", (error) => log.warn(`run: no further input: ${error.message}`));
    source.pipe(sink, { end: !isRaw });
    return () => {
      if (isRaw && source instanceof ReadStream && !source.destroyed) source.setRawMode(false);
      source.destroy();
    };
  } catch (error) {
    closeSync(fd);
    log.warn(`run: no input, cannot read the console "${path}": ${(error as Error).message}`);
    return () => {};
  }
}

interface StopPlan {
  signal: number;
  /** File with the PID of the first process, which alone gets the signal; absent: all processes get it. */
  pidPath?: string;
  graceMs: number;
}

/** Throws RUN_CONTAINER_STUCK when the container survives the kill. */
async function stopInSteps(
  { signal, pidPath, graceMs }: StopPlan,
  ended: Promise<unknown>,
  { log, cgroup }: { log: SysLog; cgroup: TestCgroup },
): Promise<void> {
  log.warn(`run: stopping the test, it is killed in ${graceMs / 1000} s`);
  const pid = pidPath === undefined ? undefined : readPid(pidPath);
  if (pid === undefined) cgroup.signalAll(signal);
  else sendSignal(pid, signal);
  if (await settlesWithin(ended, graceMs)) return;
  log.warn("run: the test did not stop, killing all its processes");
  cgroup.kill();
  if (await settlesWithin(ended, CONTAINER_KILL_WAIT_MS)) return;
  throw new AgentError(
    "RUN_CONTAINER_STUCK",
    `Cannot end the test: its processes are still there ${CONTAINER_KILL_WAIT_MS / 1000} s after SIGKILL`,
  );
}

/** undefined before the runtime has started the process. */
function readPid(path: string): number | undefined {
  try {
    return Number(readFileSync(path, "utf8")) || undefined;
  } catch {
    return undefined;
  }
}
