/**
 * Boots a virtual DUT once or several times, with machine options, live console, report and exit code.
 * `dutboot boot` and `npm start` share it.
 */
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type BootResult, bootDut } from "../qemu/boot-dut.ts";
import { type Disk, USER_NIC } from "../qemu/qemu-command.ts";
import { claimRunDirectory, type RunDirectory } from "../qemu/run-directory.ts";
import type { ToolsRoot } from "../qemu/tools-root.ts";
import { formatBootReport, formatSeries } from "./boot-report.ts";
import {
  type CommandInput,
  type CommandOption,
  parseCount,
  parseDurationOption,
  parseFile,
  UsageError,
} from "./command.ts";
import { type ExtraFile, readNamedFile, writeExtraArchive } from "./extra-archive.ts";

const PROJECT_ROOT = fileURLToPath(new URL("..", import.meta.url));
const RUNS = join(PROJECT_ROOT, "out/runs");

export const MACHINE_OPTIONS = {
  memory: { type: "string", value: "MIB", help: "Memory of the DUT (default: 2048)" },
  cpus: { type: "string", value: "N", help: "CPUs of the DUT (default: 2)" },
  disk: { type: "string", multiple: true, value: "FILE[,raw|qcow2]", help: "A virtio disk" },
  nic: {
    type: "string",
    multiple: true,
    value: "NIC",
    help: `Network card in QEMU's -nic syntax (default: ${USER_NIC})`,
  },
  "extra-file": {
    type: "string",
    multiple: true,
    value: "GUESTPATH=FILE",
    help: "A file on top of the initrd",
  },
  "fw-cfg": { type: "string", multiple: true, value: "NAME=FILE", help: "A fw_cfg value below opt/" },
  smbios: { type: "string", multiple: true, value: "TEXT", help: "An SMBIOS type 11 string" },
  "qemu-argument": { type: "string", multiple: true, value: "WORD", help: "Another argument for QEMU" },
  timeout: { type: "string", value: "DURATION", help: "Time limit of the boot (default: 15m)" },
  silence: { type: "string", value: "DURATION", help: "Longest time without console output (default: 3m)" },
  times: { type: "string", value: "N", help: "Boot N times and count the outcomes" },
  interactive: { type: "boolean", help: "Connect the terminal to the DUT's console; Ctrl-A X ends the boot" },
} as const satisfies Record<string, CommandOption>;

const DEFAULT_MEMORY_MIB = 2048;

export interface DutRun {
  toolsRoot: ToolsRoot;
  kernel: string;
  initrds: readonly string[];
  commandLine: string;
  machine: Machine;
  /** Files of --extra-file override these. */
  extraFiles?: readonly ExtraFile[];
  runDirectory: RunDirectory;
  signal: AbortSignal;
}

export const claimRun = () => claimRunDirectory(RUNS);

/** Shows paths below the current folder as relative paths. */
export function showPath(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith("..") ? path : short;
}

/** Boots once with the console on stdout. `onEnd` runs before the report, so that the verdict is printed last. */
export async function runDut(
  run: DutRun,
  onEnd?: (result: BootResult) => Promise<void>,
): Promise<BootResult> {
  const { path } = run.runDirectory;
  const { extraFiles, isInteractive, ...machine } = run.machine;
  const keyboard = isInteractive ? connectKeyboard() : undefined;
  const files = [...(run.extraFiles ?? []), ...extraFiles];
  const extraArchive = join(path, "extra-files.cpio");
  if (files.length > 0) await writeExtraArchive(extraArchive, files);
  const result = await bootDut({
    toolsRoot: run.toolsRoot,
    runDirectory: run.runDirectory,
    kernel: run.kernel,
    initrds: files.length > 0 ? [...run.initrds, extraArchive] : run.initrds,
    commandLine: run.commandLine,
    signal: run.signal,
    ...machine,
    onCommand: (command) => console.log(`QEMU command:\n${command}\n`),
    onConsole: (chunk) => process.stdout.write(chunk),
    onScreen: keyboard && ((_chunk, type) => keyboard.typeWith(type)),
  }).finally(() => keyboard?.disconnect());
  try {
    if (!run.signal.aborted) await onEnd?.(result);
  } finally {
    console.log(formatBootReport(result, showPath(path)).join("\n"));
  }
  return result;
}

/** Passes what is typed to the DUT. Ctrl-C goes to the DUT too; QEMU itself handles Ctrl-A. */
function connectKeyboard() {
  const { stdin } = process;
  let typeText: ((text: string) => void) | undefined;
  const onData = (chunk: Buffer) => typeText?.(chunk.toString());
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.on("data", onData);
  return {
    typeWith: (type: (text: string) => void) => {
      typeText = type;
    },
    disconnect() {
      stdin.off("data", onData);
      stdin.pause();
      if (stdin.isTTY) stdin.setRawMode(false);
    },
  };
}

export type Machine = Awaited<ReturnType<typeof readMachine>>;

/** Reads MACHINE_OPTIONS; throws before anything is built. */
export async function readMachine(input: CommandInput) {
  const read = <T>(name: string, parse: (name: string, text: string) => T) => {
    const text = input.text(name);
    return text === undefined ? undefined : parse(name, text);
  };
  const cpus = read("cpus", parseCount);
  const timeoutMs = read("timeout", parseDurationOption);
  const silenceMs = read("silence", parseDurationOption);
  const nics = input.texts("nic");
  const readFiles = (name: string) => Promise.all(input.texts(name).map((text) => readNamedFile(name, text)));
  const fwCfg = await readFiles("fw-cfg");
  return {
    memoryMiB: read("memory", parseCount) ?? DEFAULT_MEMORY_MIB,
    cpus,
    timeoutMs,
    silenceMs,
    nics: nics.length === 0 ? undefined : nics.filter((nic) => nic !== "none"),
    disks: input.texts("disk").map(parseDisk),
    fwCfg: Object.fromEntries(fwCfg.map(({ path, content }) => [path, content])),
    smbiosStrings: input.texts("smbios"),
    extraArguments: input.texts("qemu-argument"),
    extraFiles: await readFiles("extra-file"),
    isInteractive: input.flag("interactive"),
  };
}

/** Parses `FILE` or `FILE,FORMAT`; other commas belong to the file name. */
function parseDisk(text: string): Disk {
  const [, path = "", format] = /^(.+),(raw|qcow2)$/.exec(text) ?? [undefined, text, "raw"];
  if (!path) throw new UsageError(`Cannot use --disk "${text}": expected FILE[,raw|qcow2]`);
  return { path: parseFile("disk", path), format: format as Disk["format"] };
}

/** Repeats `boot` as often as --times says, until it is stopped. Returns the exit code of the first boot that failed. */
export async function repeatBoots(
  input: CommandInput,
  signal: AbortSignal,
  boot: (count: number) => Promise<BootResult>,
): Promise<number> {
  const times = parseCount("times", input.text("times") ?? "1");
  const results: BootResult[] = [];
  // A stop before the first boot must not return 0.
  signal.throwIfAborted();
  while (results.length < times && !signal.aborted) results.push(await boot(results.length + 1));
  if (times > 1) console.log(formatSeries(results).join("\n"));
  return results.find(({ exitCode }) => exitCode !== 0)?.exitCode ?? 0;
}
