/**
 * Options of our own about the machine: network, clock, names, modules, its log, how it ends, and where the rest of the job is.
 */

import { parseJobFilePlace, parseLogPlace, parseNetconsolePlace } from "../syntax/locations.ts";
import {
  readHostname,
  readInterface,
  readKeymap,
  readModuleFiles,
  readModules,
  readNtpPeer,
  readPoweroffCommand,
  readRebootCommand,
  type SettingReader,
} from "../syntax/setting-readers.ts";
import { parseChoice, parseDuration, parseText } from "../syntax/values.ts";
import type { Option } from "./option.ts";

const filled =
  (read: SettingReader): SettingReader =>
  (value, draft, rules) =>
    read(parseText(value), draft, rules);

export const MACHINE_OPTIONS: readonly Option[] = [
  {
    name: "dut.job",
    form: "SOURCE[,sha256=HEX]",
    help: "A job file, in YAML or JSON, with any of these options under their names without dut. (docs/job.schema.json); options of the command line win over it",
    example: "dut.job=https://jobs.farm/42.yaml",
    isOfLine: true,
    read: (value, { machine }) => {
      machine.jobFileUrl = parseJobFilePlace(value);
    },
  },
  {
    name: "dut.iface",
    form: "NAME[,dhcp][,address=IP/LENGTH][,gateway=IP][,route=NET/LENGTH:VIA][,nameserver=IP][,forward]",
    help: "A network interface set up by hand; with any of them the others are left alone",
    example: "dut.iface=eth0,address=10.42.0.7/24,gateway=10.42.0.1,nameserver=10.42.0.1",
    isRepeatable: true,
    read: readInterface,
  },
  {
    name: "dut.ntp",
    form: "none|auto|HOST",
    help: "Who tells the time: nobody, a public pool, or a host; without it the servers of the DHCP answer",
    example: "dut.ntp=10.42.0.1",
    read: readNtpPeer,
  },
  {
    name: "dut.hostname",
    form: "NAME",
    help: "The machine's name",
    example: "dut.hostname=navi31-7",
    read: readHostname,
  },
  {
    name: "dut.keymap",
    form: "NAME",
    help: "The console's keymap, a NAME.kmap in the initrd",
    example: "dut.keymap=fr",
    read: readKeymap,
  },
  {
    name: "dut.modules",
    form: "NAME[,NAME]",
    help: "Kernel modules to load besides those of the devices that are there",
    example: "dut.modules=amdgpu,zram",
    isRepeatable: true,
    read: filled(readModules),
  },
  {
    name: "dut.module_files",
    form: "FILE[,FILE]",
    help: "Files of kernel modules in the initrd, loaded in this order",
    example: "dut.module_files=phy.ko,eth.ko",
    read: filled(readModuleFiles),
  },
  {
    name: "dut.log",
    form: "tcp://HOST:PORT|syslog://HOST[:PORT]|syslog+tcp://HOST[:PORT]|https://HOST/PATH|s3://BUCKET/PREFIX",
    help: "Where everything that the console shows goes as well while the job runs, for boards whose serial line is slow or loses letters: as raw bytes (tcp), or as numbered lines that repair a serial log (docs/network-log.md)",
    example: "dut.log=syslog+tcp://10.42.0.1",
    read: (value, draft) => {
      draft.logTo = parseLogPlace(parseText(value));
    },
  },
  {
    name: "dut.netconsole",
    form: "HOST[:PORT]",
    help: "Where the kernel itself sends its messages by UDP, up to the last one before it dies; port 6666 without one",
    example: "dut.netconsole=10.42.0.1",
    read: (value, { machine }) => {
      machine.netconsole = parseNetconsolePlace(parseText(value));
    },
  },
  {
    name: "dut.sections",
    form: "yes|no",
    help: "Whether each phase is a section on the console that GitLab folds; yes without it",
    example: "dut.sections=no",
    read: (value, { machine }) => {
      if (parseChoice(["yes", "no"] as const)(value) === "no") machine.hasNoSections = true;
      else delete machine.hasNoSections;
    },
  },
  {
    name: "dut.on_exit",
    form: "poweroff|reboot|halt",
    help: "How the machine ends; poweroff without it",
    example: "dut.on_exit=reboot",
    read: (value, draft) => {
      draft.onExit = parseChoice(["poweroff", "reboot", "halt"] as const)(value);
    },
  },
  {
    name: "dut.watchdog",
    form: "auto|never",
    help: "auto, as without it: a hardware watchdog is armed where there is one and fed by the agent's keeper, so that a machine that hangs is reset; never: it is left to the test",
    example: "dut.watchdog=never",
    isOfLine: true,
    // The keeper reads it by itself (initrd/files/run-agent).
    read: (value) => void parseChoice(["auto", "never"] as const)(value),
  },
  {
    name: "dut.poweroff_delay",
    form: "DURATION",
    help: "Slept after the last message, so that the farm can cut the power first",
    example: "dut.poweroff_delay=15s",
    read: (value, { end }) => {
      end.poweroffDelayMs = parseDuration(value);
    },
  },
  {
    name: "dut.poweroff_command",
    form: '"COMMANDS"',
    help: "In place of the plain power-off: echo, sleep, sync, poweroff, reboot and halt, with ; or && between",
    example: 'dut.poweroff_command="echo JOB_RESULT=$B2C_PIPELINE_STATUS; poweroff -f"',
    read: readPoweroffCommand,
  },
  {
    name: "dut.reboot_command",
    form: '"COMMANDS"',
    help: "In place of the plain reboot, as dut.poweroff_command",
    example: 'dut.reboot_command="sync; reboot -f"',
    read: readRebootCommand,
  },
  {
    name: "dut.end",
    help: "Marks the end: with it as the last word, a line that a boot loader has cut is told from a whole one",
    example: "dut.end",
    isOfLine: true,
  },
];
