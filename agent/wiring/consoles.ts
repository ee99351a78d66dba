/**
 * The consoles of this boot: all that the kernel was given, found by itself, and those that the job adds.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Job, SerialPortSettings } from "../job/job.ts";
import { ConsoleSet } from "../report/console/console.ts";
import { listKernelConsoles, openConsole, useDescriptor } from "../report/console/device.ts";
import { awaitSerialConsole } from "../report/console/serial-console.ts";
import { SERIAL_LOOK_MS } from "../report/limits.ts";

export interface ConsoleTools {
  readUptimeMs: () => number;
  /** Not before the consoles are there. */
  warn: (message: string) => void;
}

/** Standard output, which init opened, is the console of a machine that names none. */
export function createKernelConsoles({ readUptimeMs, warn }: ConsoleTools): ConsoleSet {
  const consoles = new ConsoleSet([], {
    readUptimeMs,
    onGone: (name, error) => warn(`console: "${name}" takes nothing any more: ${error.message}`),
  });
  // A console that cannot be used is no reason to be silent about it, but the log is not there yet.
  openNewConsoles(consoles, (message) => setImmediate(() => warn(message)));
  if (consoles.names.length === 0) consoles.add(useDescriptor("stdout", process.stdout.fd));
  return consoles;
}

/** Some come with their driver, long after the kernel has read the line that names them. */
function openNewConsoles(consoles: ConsoleSet, warn: (message: string) => void): void {
  for (const name of listKernelConsoles()) {
    if (consoles.names.includes(name)) continue;
    try {
      consoles.add(openConsole(`/dev/${name}`));
    } catch (error) {
      warn(`console: "${name}" cannot be used: ${(error as Error).message}`);
    }
  }
}

export interface JobConsoleTools {
  consoles: ConsoleSet;
  log: { info(line: string): void; warn(line: string): void };
  /** The kernel command line. */
  line: string;
  lookForDevices: () => Promise<unknown>;
}

export interface JobConsoles {
  /** Those of the kernel's that have come with their drivers. */
  findNew(): void;
  /** What the job says of consoles, as far as it is known; returns at once, ports may come later. */
  apply(job: Pick<Job, "color" | "consolePorts">): void;
}

export function createJobConsoles(tools: JobConsoleTools): JobConsoles {
  const { consoles, log, line } = tools;
  const known = new Set<string>();
  return {
    findNew: () => openNewConsoles(consoles, (message) => log.warn(message)),
    apply({ color = "auto", consolePorts = [] }) {
      consoles.setColor(color === "auto" ? !isColorless(line) : color === "yes");
      for (const port of consolePorts) {
        if (consoles.setRate(port.device, port.baudRate / 10) || known.has(port.device)) continue;
        known.add(port.device);
        void addPort(port, tools);
      }
    },
  };
}

/** The kernel hands such words to init's environment, so that people write them there. */
function isColorless(line: string): boolean {
  return /(?:^|\s)(?:TERM=dumb|NO_COLOR=\S+)(?:\s|$)/.test(line);
}

async function addPort(
  port: SerialPortSettings,
  { consoles, log, lookForDevices }: JobConsoleTools,
): Promise<void> {
  const { device, baudRate } = port;
  try {
    // Adapters drop out and come back, under the same name as long as nobody holds the old one.
    for (let isBack = false; ; isBack = true) {
      const opened = await awaitSerialConsole(device, { baudRate, lookForDevices });
      if (!opened) return log.warn(`console: there is no "${device}", the job goes on without it`);
      consoles.add(opened, { isBack });
      log.info(`console: "${device}" at ${baudRate} baud`);
      await opened.lost;
      await sleep(SERIAL_LOOK_MS, undefined, { ref: false });
    }
  } catch (error) {
    log.warn(`console: "${device}" cannot be used: ${(error as Error).message}`);
  }
}
