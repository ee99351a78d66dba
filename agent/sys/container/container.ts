/**
 * Runs one step of a job in a container with crun. Several run at once, each with its own id. Returns the step's exit code when
 * all of its processes have ended or been killed.
 */
import { lchownSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AgentError } from "../../errors.ts";
import { formatRuntimeSpec, type RuntimeSpec } from "../../runtime-spec/config.ts";
import { parseSignal, SIGRTMIN_3, SIGTERM } from "../../runtime-spec/process.ts";
import {
  CONTAINER_DRAIN_MS,
  CONTAINER_GRACE_MS,
  INIT_GRACE_MS,
  RUNTIME_RECORD_MAX_BYTES,
} from "../limits.ts";
import { planContainer } from "./bundle.ts";
import { createTestCgroup } from "./cgroup.ts";
import { runToItsEnd } from "./process.ts";
import { ensureStandardLinks, resolvesTo } from "./rootfs.ts";
import type { ContainerOptions, StepContainer } from "./step-container.ts";

export interface ContainerExit {
  /** The container's; 128 + n for signal n; 255 after its own time limit; 0 for an init that powered off. */
  exitCode: number;
  /**
   * "reboot" and "poweroff" from the kernel's codes for a reboot(2) inside (129 and 130), with which a program can exit too.
   */
  endedBy: "exit" | "poweroff" | "reboot";
  /** The kernel killed a process of the container because memory ran out. */
  oomKilled: boolean;
  /** It reached its own time limit. */
  timedOut: boolean;
}

/** conmon's -1 for a container that it killed at its time limit. */
const TIMED_OUT = 255;

/**
 * Throws RUN_COMMAND_NOT_FOUND, RUN_CONTAINER_FAILED, RUN_CONTAINER_STUCK, RUN_NO_COMMAND, RUN_NO_WORKDIR, RUN_NO_FILE,
 * RUN_BAD_SETTING, IMAGE_UNKNOWN_USER; after an abort the signal's reason, when the container has ended.
 */
export async function runContainer(step: StepContainer, options: ContainerOptions): Promise<ContainerExit> {
  const { id, signal } = step;
  const { log, runtime = "crun", consolePath = "/dev/console", drainMs = CONTAINER_DRAIN_MS } = options;
  signal?.throwIfAborted();
  const bundleDir = join(options.bundleDir, id);
  rmSync(bundleDir, { recursive: true, force: true });
  mkdirSync(bundleDir, { recursive: true });
  ensureStandardLinks(options.devPath ?? "/dev");
  const cgroup = createTestCgroup(id, {
    log,
    mountPath: options.cgroupMountPath,
  });
  const messagesPath = join(bundleDir, "runtime.log");
  const pidPath = join(bundleDir, "pid");
  try {
    const spec = planContainer(step, { ...options, bundleDir, cgroupPath: cgroup.containerPath });
    step.onEnvironment?.(spec.process.env);
    for (const { from, options: mountOptions } of step.mounts)
      if (mountOptions.includes("U")) chownTree(from, spec.process.user);
    writeFileSync(join(bundleDir, "config.json"), formatRuntimeSpec(spec));
    const opening = createOpening();
    const { exitCode, timedOut } = await runToItsEnd(
      {
        argv: [
          ...[runtime, "--root", join(bundleDir, "state"), "--cgroup-manager", "cgroupfs"],
          ...["--log", messagesPath, "--log-format", "json"],
          ...["run", "--bundle", bundleDir, "--pid-file", pidPath],
        ],
        id,
        hasTerminal: spec.process.terminal,
        keepsInputOpen: step.step.container?.keepsInputOpen ?? false,
        ...(step.input === "console" && { consolePath }),
        terminalSocketPath: join(bundleDir, "tty.sock"),
        onOutput(chunk) {
          opening.add(chunk);
          step.onOutput(chunk);
        },
      },
      { log, cgroup, drainMs, stop: planStop(step, spec, options, pidPath), signal },
    );
    const oomKilled = cgroup.readOomKills() > 0;
    signal?.throwIfAborted();
    if (timedOut) return { exitCode: TIMED_OUT, endedBy: "exit", oomKilled, timedOut };
    const failure = exitCode === 0 ? undefined : (readRuntimeError(messagesPath) ?? opening.readError());
    if (failure !== undefined) throw describeRuntimeFailure(failure, spec.process.args);
    return { ...describeEnd(exitCode, step, spec), oomKilled, timedOut };
  } finally {
    cgroup.remove();
    rmSync(bundleDir, { recursive: true, force: true });
  }
}

/** After reboot(2) in a PID namespace, its init seems killed by SIGHUP or SIGINT (pid_namespaces(7)). */
const ENDS: Readonly<Record<number, "reboot" | "poweroff">> = { 129: "reboot", 130: "poweroff" };

function describeEnd(exitCode: number, { step }: StepContainer, spec: RuntimeSpec) {
  const ownsItsEnd = spec.linux.namespaces.some(({ type }) => type === "pid");
  const endedBy = (ownsItsEnd ? ENDS[exitCode] : undefined) ?? ("exit" as const);
  return { exitCode: step.isInit && endedBy === "poweroff" ? 0 : exitCode, endedBy };
}

function planStop(
  { step, rootPath }: StepContainer,
  spec: RuntimeSpec,
  options: ContainerOptions,
  pidPath: string,
) {
  const { stopSignal, stopTimeoutMs, timeoutMs } = step.container ?? {};
  const isInit = step.isInit === true;
  const ownSignal = isInit && resolvesTo(rootPath, spec.process.args[0]!, "systemd") ? SIGRTMIN_3 : SIGTERM;
  return {
    signal: stopSignal === undefined ? ownSignal : parseSignal(stopSignal),
    // A shell that waits for its child ignores signals, so all processes get it unless the first one is known to handle it.
    ...((isInit || stopSignal !== undefined) && { pidPath }),
    graceMs: stopTimeoutMs ?? options.graceMs ?? (isInit ? INIT_GRACE_MS : CONTAINER_GRACE_MS),
    timeoutMs,
  };
}

/** podman's mount option `U`: the tree belongs to the container's user, symlinks included. */
function chownTree(path: string, owner: { uid: number; gid: number }): void {
  lchownSync(path, owner.uid, owner.gid);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) chownTree(child, owner);
    else lchownSync(child, owner.uid, owner.gid);
  }
}

/** The program is missing, not executable, or for another architecture. */
const NOT_RUNNABLE =
  /^executable file|not executable|not a regular file|^open executable|^exec\b|exec format error/i;

function describeRuntimeFailure(message: string, argv: readonly string[]): AgentError {
  if (!NOT_RUNNABLE.test(message)) {
    return new AgentError("RUN_CONTAINER_FAILED", `Cannot start the container: ${message}`);
  }
  return new AgentError("RUN_COMMAND_NOT_FOUND", `Cannot run "${argv[0]}" in the image: ${message}`);
}

/** The runtime writes to its log only when it fails itself. */
function readRuntimeError(path: string): string | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return undefined; // no log
  }
  return text
    .split("\n")
    .map(parseRuntimeError)
    .findLast((message) => message !== undefined);
}

/**
 * When execve fails, crun has already closed its log and writes the record to the container's standard error. It counts only if it
 * is the whole output, because a test can print anything.
 */
function createOpening() {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  return {
    add(chunk: Buffer) {
      sizeBytes += chunk.length;
      if (sizeBytes <= RUNTIME_RECORD_MAX_BYTES) chunks.push(chunk);
    },
    readError: () =>
      sizeBytes <= RUNTIME_RECORD_MAX_BYTES
        ? parseRuntimeError(Buffer.concat(chunks).toString().trim())
        : undefined,
  };
}

/** crun's format on a terminal. */
const IN_COLOUR = /^\u001b\[1;31m(.*)\u001b\[0m$/;

function parseRuntimeError(line: string): string | undefined {
  try {
    const record = JSON.parse(line.replace(IN_COLOUR, "$1")) as { level?: string; msg?: string };
    return record.level === "error" ? (record.msg ?? line) : undefined;
  } catch {
    return undefined;
  }
}
