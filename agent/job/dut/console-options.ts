/**
 * Options of our own about the consoles: which there are beside the kernel's, and what they show.
 */
import type { SerialPortSettings } from "../job.ts";
import { parseChoice, ValueError } from "../syntax/values.ts";
import type { Option } from "./option.ts";

export const CONSOLE_OPTIONS: readonly Option[] = [
  {
    name: "dut.console",
    form: "DEVICE[,BAUD]",
    help: "A serial port that shows the job beside the kernel's own consoles, 115200 baud without a speed; a USB adapter may come late. Of a console that the kernel has, the speed alone counts",
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
    help: "Whether consoles show the test's colors; auto: yes, unless the kernel's command line says TERM=dumb or NO_COLOR=1",
    example: "dut.color=no",
    read: (value, draft) => {
      draft.color = parseChoice(["auto", "yes", "no"] as const)(value);
    },
  },
];

/** As behind the kernel's `console=`, eight bits without parity. */
function parseSerialPort(text: string): SerialPortSettings {
  const match = /^(?:\/dev\/)?([A-Za-z0-9][A-Za-z0-9_.-]{0,63})(?:,(\d{2,8})(?:n8)?)?$/.exec(text);
  if (!match) throw new ValueError("is not DEVICE or DEVICE,BAUD");
  const [, device = "", baudRate = "115200"] = match;
  if (Number(baudRate) < 50) throw new ValueError(`has a speed of ${baudRate} baud`);
  return { device, baudRate: Number(baudRate) };
}
