/**
 * The QEMU command of a virtual DUT, planned as plain words: no file or process is touched here.
 * Options and their order follow qemu-system-x86_64(1) of QEMU 10.0.
 */
import { EVENT_PORT_NAME } from "../agent/wire/event.ts";

export interface Disk {
  path: string;
  format: "raw" | "qcow2";
  readOnly?: boolean;
  /** What the guest sees as the drive's serial number; at most 20 characters. */
  serial?: string;
}

/** A value given to the guest's firmware tables: the content of a file, so that secrets stay off the process list. */
export interface FirmwareValue {
  name: string;
  path: string;
}

export interface QemuPlan {
  name: string;
  kernel: string;
  /** One file; several archives are joined before. Absent: the kernel boots without one. */
  initrd?: string;
  commandLine: string;
  memoryMiB: number;
  cpus: number;
  disks: readonly Disk[];
  /** Each in QEMU's own `-nic` syntax; none at all gives a machine without a network. */
  nics: readonly string[];
  /** Names below `opt/`, see docs/specs/fw_cfg in QEMU. */
  fwCfg: readonly FirmwareValue[];
  /** Files that each hold one SMBIOS type 11 string. */
  smbiosStringFiles: readonly string[];
  eventsFile: string;
  /** Words put at the end, for what this plan does not know. */
  extraArguments?: readonly string[];
}

/** A user network whose guest reaches the host's loopback at 10.0.2.2. */
export const USER_NIC = "user,model=virtio-net-pci";

/** Words after the program's name. */
export function planQemuArguments(plan: QemuPlan): string[] {
  return [
    ...["-name", escapeComma(plan.name), "-nodefaults", "-no-user-config", "-no-reboot"],
    // A watchdog that was not fed ends the run, as every reset does; so QEMU says that it was one.
    ...["-action", "watchdog=debug"],
    // TCG always: KVM opens in nested machines and then hangs, and a run must not depend on where it runs.
    ...["-machine", "q35,sata=off,smbus=off", "-accel", "tcg,thread=multi", "-cpu", "max"],
    ...["-smp", String(plan.cpus), "-m", `${plan.memoryMiB}M`],
    // What -nographic does, without the firmware's escape codes on the serial line: Ctrl-A X ends a pasted command.
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

/** A comma ends an option's value unless it is doubled. */
const escapeComma = (value: string) => value.replaceAll(",", ",,");

/** One line that a POSIX shell reads back as exactly these words. */
export function formatShellCommand(words: readonly string[]): string {
  return words.map(quoteForShell).join(" ");
}

function quoteForShell(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** The command line with what the harness needs in front; anything the caller says comes later and wins. */
export function completeCommandLine(commandLine: string): string {
  // Without its speed the port would be a real one of 9600 baud to the guest, which then says little of what a test prints.
  // panic=-1: a panic resets at once and -no-reboot turns that into QEMU's end, instead of a machine that sits there.
  return `console=ttyS0,115200 panic=-1 ${commandLine}`.trimEnd();
}
