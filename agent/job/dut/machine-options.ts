/**
 * Options of ours for the machine: the job file, network, clock, names, modules, logs and consoles, and how the machine ends.
 */
import type { SerialPortSettings } from "../job.ts";
import { add, addAll, type DutOption, set, toEnd, toJob, toMachine } from "../option.ts";
import { parseJobFileSource, parseLogDestination, parseNetconsoleTarget } from "../syntax/locations.ts";
import { parseEndCommand, parseHostname, parseInterface, parseKeymap, parseNtp } from "../syntax/settings.ts";
import { parseChoice, parseDuration, parseYesOrNo, splitList, ValueError } from "../syntax/values.ts";

export const CONSOLE_OPTIONS: readonly DutOption[] = [
  {
    name: "dut.console",
    form: "DEVICE[,BAUD]",
    help: "A serial port that shows the job in addition to the kernel's consoles, with 115200 baud by default; a USB adapter may appear late. For a console of the kernel only the speed is used",
    example: "dut.console=ttyUSB0,115200",
    isRepeatable: true,
    read: (value, draft) => {
      const port = parseSerialPort(value);
      const others = (draft.consolePorts ?? []).filter(({ device }) => device !== port.device);
      draft.consolePorts = [...others, port];
    },
  },
  {
    name: "dut.color",
    form: "auto|yes|no",
    help: "Whether consoles show the test's colors; auto (the default): yes, unless the command line has TERM=dumb or NO_COLOR=1",
    example: "dut.color=no",
    read: set(toJob, "color", parseChoice(["auto", "yes", "no"] as const)),
  },
];

/** The form of the kernel's `console=`; eight bits without parity only. */
function parseSerialPort(text: string): SerialPortSettings {
  const match = /^(?:\/dev\/)?([A-Za-z0-9][A-Za-z0-9_.-]{0,63})(?:,(\d{2,8})(?:n8)?)?$/.exec(text);
  if (!match) throw new ValueError("is not DEVICE or DEVICE,BAUD");
  const [, device = "", baudRate = "115200"] = match;
  if (Number(baudRate) < 50) throw new ValueError(`has a speed of ${baudRate} baud`);
  return { device, baudRate: Number(baudRate) };
}

export const MACHINE_OPTIONS: readonly DutOption[] = [
  {
    name: "dut.job",
    form: "SOURCE[,sha256=HEX]",
    help: "A job file, in YAML or JSON, with any of these options under their names without dut. (docs/job.schema.json); options of the command line override it",
    example: "dut.job=https://jobs.farm/42.yaml",
    isOfLine: true,
    read: set(toMachine, "jobFileUrl", parseJobFileSource),
  },
  {
    name: "dut.iface",
    form: "NAME[,dhcp][,address=IP/LENGTH][,gateway=IP][,route=NET/LENGTH:VIA][,nameserver=IP][,forward]",
    help: "A network interface configured by hand; then interfaces without this option are not configured",
    example: "dut.iface=eth0,address=10.42.0.7/24,gateway=10.42.0.1,nameserver=10.42.0.1",
    isRepeatable: true,
    read: add(toMachine, "interfaces", parseInterface),
  },
  {
    name: "dut.ntp",
    form: "none|auto|HOST",
    help: "The time server: none, a public pool (auto), or a host; by default the servers of the DHCP answer",
    example: "dut.ntp=10.42.0.1",
    read: set(toMachine, "ntp", parseNtp),
  },
  {
    name: "dut.hostname",
    form: "NAME",
    help: "The machine's host name",
    example: "dut.hostname=navi31-7",
    read: set(toMachine, "hostname", parseHostname),
  },
  {
    name: "dut.keymap",
    form: "NAME",
    help: "The console's keymap: the file NAME.kmap in the initrd",
    example: "dut.keymap=fr",
    read: set(toMachine, "keymap", parseKeymap),
  },
  {
    name: "dut.modules",
    form: "NAME[,NAME]",
    help: "Kernel modules to load in addition to those of the machine's devices",
    example: "dut.modules=amdgpu,zram",
    isRepeatable: true,
    read: addAll(toMachine, "modules", (text) => splitList(text)),
  },
  {
    name: "dut.module_files",
    form: "FILE[,FILE]",
    help: "Files of kernel modules in the initrd, loaded in this order",
    example: "dut.module_files=phy.ko,eth.ko",
    read: set(toMachine, "moduleFiles", (text) => splitList(text)),
  },
  {
    name: "dut.log",
    form: "tcp://HOST:PORT|syslog://HOST[:PORT]|syslog+tcp://HOST[:PORT]|https://HOST/PATH|s3://BUCKET/PREFIX",
    help: "Where the console's output is also sent while the job runs, for boards whose serial line is slow or drops characters: as raw bytes (tcp), or as numbered lines that can repair a serial log (docs/network-log.md)",
    example: "dut.log=syslog+tcp://10.42.0.1",
    read: set(toJob, "logTo", parseLogDestination),
  },
  {
    name: "dut.netconsole",
    form: "HOST[:PORT]",
    help: "Where the kernel itself sends its messages by UDP, up to the last one before it crashes; the default port is 6666",
    example: "dut.netconsole=10.42.0.1",
    read: set(toMachine, "netconsole", parseNetconsoleTarget),
  },
  {
    name: "dut.sections",
    form: "yes|no",
    help: "Whether each phase is a GitLab section on the console, which GitLab can fold; yes by default",
    example: "dut.sections=no",
    read: set(toMachine, "hasNoSections", (text) => !parseYesOrNo(text) || undefined),
  },
  {
    name: "dut.on_exit",
    form: "poweroff|reboot|halt",
    help: "How the machine ends; poweroff by default",
    example: "dut.on_exit=reboot",
    read: set(toJob, "onExit", parseChoice(["poweroff", "reboot", "halt"])),
  },
  {
    name: "dut.watchdog",
    form: "auto|never",
    help: "auto (the default): if the machine has a hardware watchdog, the agent's supervisor arms and feeds it, so that a machine that hangs is reset; never: the watchdog is left to the test",
    example: "dut.watchdog=never",
    isOfLine: true,
    // For the supervisor only (supervisor-facts.ts).
    read: (value) => void parseChoice(["auto", "never"])(value),
  },
  {
    name: "dut.poweroff_delay",
    form: "DURATION",
    help: "The wait after the last message, in which the farm can cut the power",
    example: "dut.poweroff_delay=15s",
    read: set(toEnd, "poweroffDelayMs", parseDuration),
  },
  {
    name: "dut.poweroff_command",
    form: '"COMMANDS"',
    help: "Commands instead of the plain power-off: echo, sleep, sync, poweroff, reboot and halt, separated by ; or &&",
    example: 'dut.poweroff_command="echo JOB_RESULT=$B2C_PIPELINE_STATUS; poweroff -f"',
    read: set(toEnd, "poweroffCommand", parseEndCommand),
  },
  {
    name: "dut.reboot_command",
    form: '"COMMANDS"',
    help: "Commands instead of the plain reboot, as in dut.poweroff_command",
    example: 'dut.reboot_command="sync; reboot -f"',
    read: set(toEnd, "rebootCommand", parseEndCommand),
  },
  {
    name: "dut.end",
    help: "The last word of the line: it shows that no boot loader cut the line. A line of more than 900 bytes without it is refused, unless an archive of the farm has /etc/dutboot/whole-lines",
    example: "dut.end",
    isOfLine: true,
  },
];
