/**
 * Runs one step of a job in a container by crun, and always comes back: with the step's exit code, or once everything
 * of it is killed. Output comes as it is written, standard output and error in one stream.
 */
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { constants, hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AgentError } from "../errors.ts";
import { createPipe } from "../kernel/pipes.ts";
import { CONTAINER_DRAIN_MS, CONTAINER_GRACE_MS, CONTAINER_KILL_WAIT_MS } from "../limits.ts";
import type { ImageConfig } from "../oci/image.ts";
import { planRuntimeSpec } from "../oci/runtime-spec.ts";
import { ensureStandardLinks, readProcessFacts, readUserFiles } from "./container-root.ts";
import { createOpening, describeRuntimeFailure, readRuntimeError } from "./runtime-failure.ts";
import type { SysLog } from "./sys-log.ts";
import { createTestCgroup, type TestCgroup } from "./test-cgroup.ts";

export interface StepContainer {
  config: Pick<ImageConfig, "env" | "entrypoint" | "cmd" | "workingDir" | "user">;
  /** The mounted root. */
  rootPath: string;
  /** Bound to /results. */
  resultsPath: string;
  /** Replaces the image's entrypoint and command. */
  argv?: string[];
  env: string[];
  onOutput: (chunk: Buffer) => void;
  /** Ends the container: SIGTERM, then after the grace everything in it is killed. */
  signal?: AbortSignal;
}

export interface ContainerExit {
  /** The container's own; 128 + n when signal n ended it. */
  exitCode: number;
  /** The kernel killed some process of the container because memory ran out. */
  oomKilled: boolean;
}

export interface ContainerOptions {
  log: SysLog;
  /** Where config.json and the runtime's state go. */
  bundleDir: string;
  /** Unique on this machine: names the container and its cgroup. */
  id?: string;
  runtime?: string;
  resolvConfPath?: string;
  devPath?: string;
  cgroupMountPath?: string;
  graceMs?: number;
  drainMs?: number;
}

/**
 * Throws RUN_COMMAND_NOT_FOUND, RUN_CONTAINER_FAILED, RUN_CONTAINER_STUCK, RUN_NO_COMMAND, IMAGE_UNKNOWN_USER;
 * the signal's reason when it was aborted, after the container is gone.
 */
export async function runContainer(step: StepContainer, options: ContainerOptions): Promise<ContainerExit> {
  const { log, bundleDir, id = "dutboot-test", runtime = "crun", devPath = "/dev" } = options;
  step.signal?.throwIfAborted();
  mkdirSync(bundleDir, { recursive: true });
  ensureStandardLinks(devPath);
  const cgroup = createTestCgroup(id, {
    log,
    ...(options.cgroupMountPath && { mountPath: options.cgroupMountPath }),
  });
  const messagesPath = join(bundleDir, "runtime.log");
  rmSync(messagesPath, { force: true });
  try {
    writeFileSync(join(bundleDir, "config.json"), JSON.stringify(planSpec(step, options, cgroup)));
    const argv = ["--root", join(bundleDir, "state"), "--cgroup-manager", "cgroupfs"];
    argv.push("--log", messagesPath, "--log-format", "json", "run", "--bundle", bundleDir, id);
    const opening = createOpening();
    const onOutput = (chunk: Buffer) => {
      opening.add(chunk);
      step.onOutput(chunk);
    };
    const exitCode = await runToItsEnd([runtime, ...argv], { ...step, onOutput }, options, cgroup);
    const oomKilled = cgroup.readOomKills() > 0;
    step.signal?.throwIfAborted();
    const failure = exitCode === 0 ? undefined : (readRuntimeError(messagesPath) ?? opening.readError());
    if (failure !== undefined)
      throw describeRuntimeFailure(failure, step.argv ?? [...step.config.entrypoint, ...step.config.cmd]);
    return { exitCode, oomKilled };
  } finally {
    cgroup.remove();
    rmSync(join(bundleDir, "state", id), { recursive: true, force: true });
  }
}

/** What the kernel says until somebody names the machine. */
const NO_HOSTNAME = "(none)";

function planSpec(step: StepContainer, options: ContainerOptions, cgroup: TestCgroup) {
  const { bundleDir, resolvConfPath = "/etc/resolv.conf", devPath } = options;
  const name = hostname() === NO_HOSTNAME ? "dut" : hostname();
  const hostsPath = join(bundleDir, "hosts");
  writeFileSync(
    hostsPath,
    `127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 ${name}\n`,
  );
  return planRuntimeSpec({
    config: step.config,
    ...(step.argv && { argv: step.argv }),
    env: step.env,
    rootPath: step.rootPath,
    hostname: name,
    binds: [
      { from: resolvConfPath, to: "/etc/resolv.conf" },
      { from: hostsPath, to: "/etc/hosts" },
      { from: step.resultsPath, to: "/results" },
    ],
    userFiles: readUserFiles(step.rootPath),
    cgroupPath: cgroup.containerPath,
    ...(devPath && { devPath }),
    ...readProcessFacts(),
  });
}

async function runToItsEnd(
  argv: [string, ...string[]],
  { onOutput, signal }: StepContainer,
  { log, graceMs = CONTAINER_GRACE_MS, drainMs = CONTAINER_DRAIN_MS }: ContainerOptions,
  cgroup: TestCgroup,
): Promise<number> {
  const { readFd, writeFd } = createPipe();
  const output = new Socket({ fd: readFd, readable: true, writable: false });
  output.on("data", onOutput);
  const outputEnded = new Promise<void>((resolve) => output.once("close", () => resolve()));
  const ended = Promise.withResolvers<number>();
  try {
    const child = spawn(argv[0], argv.slice(1), { stdio: ["ignore", writeFd, writeFd] });
    child.once("error", (cause) => {
      const message = `Cannot start the container runtime "${argv[0]}": ${cause.message}`;
      ended.reject(new AgentError("RUN_CONTAINER_FAILED", message, { cause }));
    });
    child.once("exit", (code, signalName) => {
      ended.resolve(code ?? 128 + (constants.signals[signalName ?? "SIGKILL"] ?? 9));
    });
  } finally {
    closeSync(writeFd);
  }

  const end = () => {
    killInSteps(cgroup, graceMs, ended.promise, log).catch(ended.reject);
  };
  signal?.addEventListener("abort", end, { once: true });
  try {
    return await ended.promise;
  } finally {
    signal?.removeEventListener("abort", end);
    // What the test left behind outside its PID namespace's reach would hold the pipe, and go on during the upload.
    if (!cgroup.isEmpty()) cgroup.kill();
    const patience = new AbortController();
    const late = sleep(drainMs, "late", { signal: patience.signal }).catch(() => undefined);
    if ((await Promise.race([outputEnded, late])) === "late") {
      log.warn("run: somebody still holds the test's output open; what comes now is not read any more");
      output.destroy();
    }
    patience.abort();
  }
}

/** Settles when the container has ended; rejects when even the kill did not end it. */
async function killInSteps(
  cgroup: TestCgroup,
  graceMs: number,
  ended: Promise<unknown>,
  log: SysLog,
): Promise<void> {
  log.warn(`run: the test is told to end, and killed in ${graceMs / 1000} s`);
  cgroup.signalAll("SIGTERM");
  if (await settlesWithin(ended, graceMs)) return;
  log.warn("run: the test did not end, everything of it is killed now");
  cgroup.kill();
  if (await settlesWithin(ended, CONTAINER_KILL_WAIT_MS)) return;
  throw new AgentError(
    "RUN_CONTAINER_STUCK",
    `Cannot end the test: its processes are still there ${CONTAINER_KILL_WAIT_MS / 1000} s after SIGKILL`,
  );
}

async function settlesWithin(work: Promise<unknown>, limitMs: number): Promise<boolean> {
  const timeout = new AbortController();
  const settled = work.then(
    () => true,
    () => true,
  );
  const expired = sleep(limitMs, false, { signal: timeout.signal }).catch(() => false);
  const result = await Promise.race([settled, expired]);
  timeout.abort();
  return result;
}
