/**
 * Boots a virtual DUT once and reports how it ended: with the guest's verdict, or the reason why there is none.
 * A run without a final record is never a pass, whatever the console shows (see vmtest, virtme-ng#70).
 */
import { realpath, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ERRORS, type ErrorCode, EXIT_CODE_BY_BLAME } from "../agent/errors.ts";
import type { EventLine } from "../agent/wire/event.ts";
import type { Verdict } from "../agent/wire/verdict.ts";
import { exitCodeOfVerdict } from "../agent/wire/verdict.ts";
import { type ConsoleRecorder, createConsoleRecorder } from "./console-recorder.ts";
import { type EventFollower, followEvents } from "./event-follower.ts";
import { planHostBinds } from "./host-binds.ts";
import { formatJoinCommand, joinInitrds } from "./initrd-chain.ts";
import { type OwnedProcess, type ProcessEnd, startOwnedProcess } from "./owned-process.ts";
import {
  completeCommandLine,
  type Disk,
  formatShellCommand,
  planQemuArguments,
  USER_NIC,
} from "./qemu-command.ts";
import type { RunDirectory } from "./run-directory.ts";
import type { ToolsRoot } from "./tools-root.ts";

export interface BootOptions {
  toolsRoot: ToolsRoot;
  runDirectory: RunDirectory;
  kernel: string;
  /** In the order in which the kernel unpacks them: a later archive overwrites files of an earlier one. */
  initrds: readonly string[];
  commandLine: string;
  memoryMiB?: number;
  cpus?: number;
  disks?: readonly Disk[];
  /** QEMU `-nic` values. Default: one user network where 10.0.2.2 is the host's loopback. */
  nics?: readonly string[];
  /** Contents of the fw_cfg files `opt/NAME`. */
  fwCfg?: Readonly<Record<string, string | Buffer>>;
  /** SMBIOS type 11 strings. */
  smbiosStrings?: readonly string[];
  extraArguments?: readonly string[];
  /** Time limit of the whole run. */
  timeoutMs?: number;
  /** Longest time without output on the console. */
  silenceMs?: number;
  /** Time for the machine to power off after its final record. */
  endGraceMs?: number;
  onConsole?: (chunk: Buffer) => void;
  /** Receives the console's output and can type on it, as LAVA's dispatcher does. */
  onScreen?: (chunk: Buffer, type: (text: string) => void) => void;
  onEvent?: (event: EventLine) => void;
  /** Called with the command before it starts. */
  onCommand?: (shellCommand: string) => void;
  signal?: AbortSignal;
}

export type Outcome =
  | "ended" // with a final record; `verdict` is set
  | "no-record" // the machine powered off without a final record
  | "panic"
  | "watchdog" // the watchdog fired
  | "silent"
  | "timeout"
  | "qemu-failed"
  | "stopped"; // by the caller's signal

export interface BootResult {
  outcome: Outcome;
  /** Exit code for a host command. */
  exitCode: number;
  /** What happened, in one sentence. */
  message: string;
  /** Present if and only if the outcome is `ended`. */
  verdict?: Verdict;
  /** Why there is no verdict. Absent if the caller stopped the run. */
  code?: ErrorCode;
  peakRssBytes?: number;
  events: readonly EventLine[];
  /** From QEMU's start to the console's first byte, the first event, and QEMU's end. */
  firstOutputMs?: number;
  upMs?: number;
  wallMs: number;
  consolePath: string;
  eventsPath: string;
  /** A shell command that boots the same again. */
  qemuCommand: string;
}

const DEFAULT_MEMORY_MIB = 1024;
const DEFAULT_CPUS = 2;
const DEFAULT_TIMEOUT_MS = 15 * 60_000;
const DEFAULT_SILENCE_MS = 3 * 60_000;
const DEFAULT_END_GRACE_MS = 20_000;
const JOINED_INITRD = "initrd.img";
const EVENT_POLL_MS = 50;
/** What QEMU prints when a watchdog fires under `-action watchdog=debug`. */
const WATCHDOG_FIRED = "watchdog: timer fired";
const STDERR_MAX_BYTES = 16 * 1024;
/** A shell's exit code after Ctrl-C: 128 + SIGINT. */
export const EXIT_CODE_STOPPED = 130;

/** Starts QEMU and waits for its end; leaves no process behind. Rejects only if a file cannot be written. */
export async function bootDut(options: BootOptions): Promise<BootResult> {
  const { path: runPath } = options.runDirectory;
  const consolePath = join(runPath, "console.log");
  const eventsPath = join(runPath, "events.jsonl");
  const { words, qemuCommand } = await prepareCommand(options, eventsPath);
  options.onCommand?.(qemuCommand);

  const startedMs = performance.now();
  const sinceStart = () => Math.round(performance.now() - startedMs);
  let firstOutputMs: number | undefined;
  let upMs: number | undefined;
  const recorder = createConsoleRecorder(consolePath, options.onConsole);
  const follower = await followEvents(eventsPath, (event) => {
    upMs ??= sinceStart();
    options.onEvent?.(event);
  });
  const { onScreen } = options;
  const qemu = startOwnedProcess(words, { takesInput: onScreen !== undefined });
  const type = (text: string) => void qemu.child.stdin?.write(text);
  let stderr = "";
  try {
    const watch = watchRun(qemu, follower, options);
    qemu.child.stderr!.on("data", (chunk: Buffer) => {
      if (stderr.length < STDERR_MAX_BYTES) stderr += chunk.toString();
      if (stderr.includes(WATCHDOG_FIRED)) watch.noteWatchdog();
    });
    qemu.child.stdout!.on("data", (chunk: Buffer) => {
      firstOutputMs ??= sinceStart();
      watch.noteOutput();
      recorder.write(chunk);
      onScreen?.(chunk, type);
    });
    const { end, stop } = await watch.ended;
    const wallMs = sinceStart();
    await recorder.close();
    const finding = judgeRun({ stop, end, follower, recorder, stderr, options });
    return {
      ...finding,
      events: follower.events,
      firstOutputMs,
      upMs,
      wallMs,
      consolePath,
      eventsPath,
      qemuCommand,
    };
  } finally {
    qemu.kill();
    await follower.close();
    // The command creates it again; many runs would keep gigabytes of equal files.
    await rm(join(runPath, JOINED_INITRD), { force: true });
  }
}

type Stop = "timeout" | "silent" | "stopped" | "lingered" | "watchdog";

/** Watches one run. `ended` resolves when QEMU has exited; `stop` is the reason if we killed it. */
function watchRun(qemu: OwnedProcess, follower: EventFollower, options: BootOptions) {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, silenceMs = DEFAULT_SILENCE_MS, signal } = options;
  let stop: Stop | undefined;
  const stopWith = (reason: Stop) => {
    stop ??= reason;
    qemu.kill();
  };
  const deadline = setTimeout(() => stopWith("timeout"), timeoutMs);
  const silence = setTimeout(() => stopWith("silent"), silenceMs);
  const onAbort = () => stopWith("stopped");
  signal?.addEventListener("abort", onAbort);
  if (signal?.aborted) onAbort();

  let linger: NodeJS.Timeout | undefined;
  let polling = Promise.resolve();
  const poller = setInterval(() => {
    polling = polling
      .then(() => follower.poll())
      .then(() => {
        // A halted machine keeps QEMU running. The final record is there, so stop waiting.
        if (follower.end)
          linger ??= setTimeout(() => stopWith("lingered"), options.endGraceMs ?? DEFAULT_END_GRACE_MS);
      });
  }, EVENT_POLL_MS);

  const follow = async (): Promise<{ end: ProcessEnd; stop: Stop | undefined }> => {
    try {
      const end = await qemu.ended;
      // A later poll would read a closed file.
      clearInterval(poller);
      await polling;
      await follower.poll();
      return { end, stop };
    } finally {
      for (const timer of [deadline, silence, linger]) clearTimeout(timer);
      clearInterval(poller);
      signal?.removeEventListener("abort", onAbort);
    }
  };
  return {
    ended: follow(),
    noteOutput: () => silence.refresh(),
    noteWatchdog: () => stopWith("watchdog"),
  };
}

interface RunEvidence {
  stop: Stop | undefined;
  end: ProcessEnd;
  follower: EventFollower;
  recorder: ConsoleRecorder;
  stderr: string;
  options: BootOptions;
}

/** Decides the outcome. Only the final record makes a verdict; everything else explains why it is missing. */
function judgeRun(
  evidence: RunEvidence,
): Pick<BootResult, "outcome" | "exitCode" | "message" | "code" | "verdict" | "peakRssBytes"> {
  const { stop, end, follower, recorder, stderr, options } = evidence;
  const lastWords = recorder.lastLine
    ? `; the last line was "${recorder.lastLine.slice(0, 200)}"`
    : "; the console is empty";
  const failed = (outcome: Outcome, code: ErrorCode, message: string) => ({
    outcome,
    code,
    message,
    exitCode: EXIT_CODE_BY_BLAME[ERRORS[code].blame],
  });

  if (stop === "stopped")
    return {
      outcome: "stopped",
      message: "The run was stopped before its end",
      exitCode: EXIT_CODE_STOPPED,
    };
  if (follower.end) {
    const { verdict, peakRssBytes } = follower.end;
    const message =
      stop === "lingered"
        ? "The DUT gave its verdict and then did not power off"
        : "The DUT gave its verdict";
    return { outcome: "ended", exitCode: exitCodeOfVerdict(verdict), message, verdict, peakRssBytes };
  }
  if (recorder.panic !== undefined)
    return failed("panic", "KERNEL_PANIC", `The DUT's kernel panicked: ${recorder.panic}`);
  if (stop === "watchdog")
    return failed("watchdog", "WATCHDOG_RESET", `The DUT hung and was reset by its watchdog${lastWords}`);
  if (stop === "timeout") {
    const seconds = (options.timeoutMs ?? DEFAULT_TIMEOUT_MS) / 1000;
    return failed("timeout", "MACHINE_TIMEOUT", `The DUT did not end within ${seconds} s${lastWords}`);
  }
  if (stop === "silent") {
    const seconds = (options.silenceMs ?? DEFAULT_SILENCE_MS) / 1000;
    return failed("silent", "CONSOLE_SILENT", `The DUT's console was silent for ${seconds} s${lastWords}`);
  }
  if (end.signal !== null || end.exitCode !== 0) {
    const how = end.signal ?? `exit code ${end.exitCode}`;
    return failed(
      "qemu-failed",
      "QEMU_FAILED",
      `QEMU exited with ${how}: ${stderr.trim() || "it printed no message"}`,
    );
  }
  return failed("no-record", "NO_VERDICT", `The DUT powered off without its final record${lastWords}`);
}

/** Writes the inputs of the run into its directory, and the command into `qemu-command.sh`. */
async function prepareCommand(options: BootOptions, eventsFile: string) {
  const { path: runPath, id } = options.runDirectory;
  const commandLine = completeCommandLine(options.commandLine);
  const joined = join(runPath, JOINED_INITRD);
  const joinCommand =
    options.initrds.length > 1 ? formatJoinCommand(await joinInitrds(options.initrds, joined), joined) : "";
  const firstInitrd = options.initrds[0];
  const initrd = joinCommand ? joined : firstInitrd && (await realpath(firstInitrd));
  const kernel = await realpath(options.kernel);
  const disks = await Promise.all(
    (options.disks ?? []).map(async (disk) => ({ ...disk, path: await realpath(disk.path) })),
  );
  const writeSecret = async (name: string, content: string | Buffer) => {
    const path = join(runPath, name);
    await writeFile(path, content, { mode: 0o600, flag: "wx" });
    return path;
  };
  const fwCfg = await Promise.all(
    Object.entries(options.fwCfg ?? {}).map(async ([name, content], index) => ({
      name,
      path: await writeSecret(`fw-cfg-${index}`, content),
    })),
  );
  const smbiosStringFiles = await Promise.all(
    (options.smbiosStrings ?? []).map((content, index) => writeSecret(`smbios-string-${index}`, content)),
  );
  const words = options.toolsRoot.commandWords(
    "qemu-system-x86_64",
    planQemuArguments({
      name: id,
      kernel,
      initrd,
      commandLine,
      memoryMiB: options.memoryMiB ?? DEFAULT_MEMORY_MIB,
      cpus: options.cpus ?? DEFAULT_CPUS,
      disks,
      nics: options.nics ?? [USER_NIC],
      fwCfg,
      smbiosStringFiles,
      eventsFile,
      extraArguments: options.extraArguments,
    }),
    { bind: planHostBinds([kernel, initrd ?? kernel, eventsFile, ...disks.map(({ path }) => path)]) },
  );
  const start = formatShellCommand(words);
  const qemuCommand = joinCommand ? `${joinCommand} && ${start}` : start;
  await writeFile(join(runPath, "command-line.txt"), `${commandLine}\n`);
  await writeFile(join(runPath, "qemu-command.sh"), `#!/bin/sh\n${qemuCommand}\n`, { mode: 0o755 });
  return { words, qemuCommand };
}
