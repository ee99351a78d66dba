/**
 * Boots a virtual DUT once and says how it ended: the guest's own verdict, or what kept it from giving one.
 * No final record is never a pass, whatever stood on the console (peers: vmtest, virtme-ng#70).
 */
import { realpath, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ERRORS, type ErrorCode, EXIT_CODE_BY_BLAME } from "../agent/errors.ts";
import type { EventLine } from "../agent/wire/event.ts";
import { exitCodeOfVerdict } from "../agent/wire/exit-code.ts";
import type { Verdict } from "../agent/wire/verdict.ts";
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
  /** Archives in the order the kernel unpacks them; a later one overwrites files of an earlier one. */
  initrds: readonly string[];
  commandLine: string;
  memoryMiB?: number;
  cpus?: number;
  disks?: readonly Disk[];
  /** QEMU `-nic` values; default: one user network, the host's loopback being 10.0.2.2. */
  nics?: readonly string[];
  /** Contents of `opt/NAME` in fw_cfg. */
  fwCfg?: Readonly<Record<string, string | Buffer>>;
  /** SMBIOS type 11 strings. */
  smbiosStrings?: readonly string[];
  extraArguments?: readonly string[];
  /** The whole run's deadline. */
  timeoutMs?: number;
  /** How long the console may stay without one byte. */
  silenceMs?: number;
  /** How long the machine may take to go off after its final record. */
  endGraceMs?: number;
  onConsole?: (chunk: Buffer) => void;
  /** Somebody at the terminal: sees what the console shows and may type, as LAVA's dispatcher does. */
  onScreen?: (chunk: Buffer, type: (text: string) => void) => void;
  onEvent?: (event: EventLine) => void;
  /** Called with the command before it starts. */
  onCommand?: (shellCommand: string) => void;
  signal?: AbortSignal;
}

export type Outcome =
  | "ended" // the final record came: `verdict` is the answer
  | "no-record" // the machine went off without one
  | "panic"
  | "watchdog" // it hung, and its watchdog would have reset it
  | "silent"
  | "timeout"
  | "qemu-failed"
  | "stopped"; // by the caller's signal

export interface BootResult {
  outcome: Outcome;
  /** What a host command should exit with. */
  exitCode: number;
  /** One sentence on what happened, for people. */
  message: string;
  /** Present exactly when the outcome is `ended`. */
  verdict?: Verdict;
  /** Why there is no verdict; absent when the caller stopped the run. */
  code?: ErrorCode;
  peakRssBytes?: number;
  events: readonly EventLine[];
  /** From QEMU's start to the console's first byte, the first event, and QEMU's end. */
  firstOutputMs?: number;
  upMs?: number;
  wallMs: number;
  consolePath: string;
  eventsPath: string;
  /** Pasted into a shell, boots the same again. */
  qemuCommand: string;
}

const DEFAULT_MEMORY_MIB = 1024;
const DEFAULT_CPUS = 2;
const DEFAULT_TIMEOUT_MS = 15 * 60_000;
const DEFAULT_SILENCE_MS = 3 * 60_000;
const DEFAULT_END_GRACE_MS = 20_000;
const JOINED_INITRD = "initrd.img";
const EVENT_POLL_MS = 50;
/** What QEMU says of a watchdog under `-action watchdog=debug`. */
const WATCHDOG_FIRED = "watchdog: timer fired";
const STDERR_MAX_BYTES = 16 * 1024;
/** What a shell says after Ctrl-C: 128 + SIGINT. */
export const EXIT_CODE_STOPPED = 130;

/** Starts QEMU, follows it to its end and always leaves no process behind. Rejects only when a file cannot be written. */
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
    // The command makes it again; fifty runs would keep gigabytes of the same bytes.
    await rm(join(runPath, JOINED_INITRD), { force: true });
  }
}

type Stop = "timeout" | "silent" | "stopped" | "lingered" | "watchdog";

/** Watches one run; `ended` resolves when QEMU is gone, with the reason when it was us who ended it. */
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
        // A halted machine keeps QEMU running; its record is in, so there is nothing left to wait for.
        if (follower.end)
          linger ??= setTimeout(() => stopWith("lingered"), options.endGraceMs ?? DEFAULT_END_GRACE_MS);
      });
  }, EVENT_POLL_MS);

  const follow = async (): Promise<{ end: ProcessEnd; stop: Stop | undefined }> => {
    try {
      const end = await qemu.ended;
      // Or one more poll would read a file that is closed by then.
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

/** The rule of what a run is worth. The final record decides; everything else only says why there is none. */
function judgeRun(
  evidence: RunEvidence,
): Pick<BootResult, "outcome" | "exitCode" | "message" | "code" | "verdict" | "peakRssBytes"> {
  const { stop, end, follower, recorder, stderr, options } = evidence;
  const lastWords = recorder.lastLine
    ? `; the last line was "${recorder.lastLine.slice(0, 200)}"`
    : "; nothing was printed";
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
        ? "The DUT gave its verdict and then did not go off by itself"
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
      `QEMU ended with ${how}: ${stderr.trim() || "it said nothing"}`,
    );
  }
  return failed("no-record", "NO_VERDICT", `The DUT went off without its final record${lastWords}`);
}

/** Puts the inputs of the run into its directory and the command into `qemu-command.sh`. */
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
