/**
 * Builds the QEMU arguments of a virtual DUT. Pure: touches no file and no process.
 * Options and their order follow qemu-system-x86_64(1) of QEMU 10.0.
 */
import { EVENT_PORT_NAME } from "../agent/wire/event.ts";

export interface Disk {
  path: string;
  format: "raw" | "qcow2";
  readOnly?: boolean;
  /** The drive's serial number; at most 20 characters. */
  serial?: string;
}

/** A value in the guest's firmware tables; passed as a file, so that secrets do not show in the process list. */
export interface FirmwareValue {
  name: string;
  path: string;
}

export interface QemuPlan {
  name: string;
  kernel: string;
  /** One file (see initrd-chain.ts); absent: no initrd. */
  initrd?: string;
  commandLine: string;
  memoryMiB: number;
  cpus: number;
  disks: readonly Disk[];
  /** In QEMU's `-nic` syntax; empty: no network. */
  nics: readonly string[];
  /** Names below `opt/`, see docs/specs/fw_cfg in QEMU. */
  fwCfg: readonly FirmwareValue[];
  /** Files that each hold one SMBIOS type 11 string. */
  smbiosStringFiles: readonly string[];
  eventsFile: string;
  /** More QEMU arguments. */
  extraArguments?: readonly string[];
}

/** A user network in which 10.0.2.2 is the host's loopback. */
export const USER_NIC = "user,model=virtio-net-pci";

/** Returns the arguments without the program name. */
export function planQemuArguments(plan: QemuPlan): string[] {
  return [
    ...["-name", escapeComma(plan.name), "-nodefaults", "-no-user-config", "-no-reboot"],
    // QEMU reports a watchdog, which otherwise looks like any reset.
    ...["-action", "watchdog=debug"],
    // Always TCG: in nested machines KVM opens and then hangs, and a run must not depend on the host.
    ...["-machine", "q35,sata=off,smbus=off", "-accel", "tcg,thread=multi", "-cpu", "max"],
    ...["-smp", String(plan.cpus), "-m", `${plan.memoryMiB}M`],
    // As -nographic, without the firmware's escape codes on the serial line. Ctrl-A X ends QEMU.
    ...["-display", "none", "-vga", "none", "-serial", "mon:stdio"],
    ...["-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"],
    ...["-device", "virtio-serial-pci", "-chardev", `file,id=events,path=${escapeComma(plan.eventsFile)}`],
    ...["-device", `virtserialport,chardev=events,name=${EVENT_PORT_NAME}`],
    ...planNics(plan.nics),
    ...plan.disks.flatMap(planDisk),
    ...plan.fwCfg.flatMap(({ name, path }) => ["-fw_cfg", `name=opt/${name},file=${escapeComma(path)}`]),
    ...plan.smbiosStringFiles.flatMap((path) => ["-smbios", `type=11,path=${escapeComma(path)}`]),
    ...(plan.extraArguments ?? []),
    ...["-kernel", plan.kernel, ...(plan.initrd ? ["-initrd", plan.initrd] : [])],
    ...["-append", plan.commandLine],
  ];
}

function planNics(nics: readonly string[]): string[] {
  return nics.length === 0 ? ["-nic", "none"] : nics.flatMap((nic) => ["-nic", nic]);
}

function planDisk(disk: Disk, index: number): string[] {
  const id = `disk${index}`;
  const readOnly = disk.readOnly ? ",read-only=on" : "";
  const serial = disk.serial ? `,serial=${escapeComma(disk.serial)}` : "";
  const drive = `file=${escapeComma(disk.path)},format=${disk.format},if=none,id=${id}${readOnly}`;
  return ["-drive", drive, "-device", `virtio-blk-pci,drive=${id}${serial}`];
}

/** QEMU ends a value at a comma unless it is doubled. */
const escapeComma = (value: string) => value.replaceAll(",", ",,");

/** Quotes the arguments for a POSIX shell. */
export function formatShellCommand(words: readonly string[]): string {
  return words.map(quoteForShell).join(" ");
}

function quoteForShell(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Puts the harness's options in front of the command line, so that the caller's options win. */
export function completeCommandLine(commandLine: string): string {
  // Without a speed the guest would take the port for 9600 baud and elide most of the test's output.
  // panic=-1: a panic resets at once, and -no-reboot turns that into QEMU's exit.
  return `console=ttyS0,115200 panic=-1 ${commandLine}`.trimEnd();
}
