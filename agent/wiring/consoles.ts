/**
 * The consoles of this boot: those of the kernel, and those that the job adds.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Job, SerialPortSettings } from "../job/job.ts";
import { ConsoleSet } from "../report/console/console.ts";
import { listKernelConsoles, openConsole, useDescriptor } from "../report/console/device.ts";
import { awaitSerialConsole } from "../report/console/serial-console.ts";
import { SERIAL_LOOK_MS } from "../report/limits.ts";

export interface ConsoleTools {
  readUptimeMs: () => number;
  /** Called only after `createKernelConsoles` has returned. */
  warn: (message: string) => void;
}

/** Falls back to standard output, which init opened, where the kernel has no console. */
export function createKernelConsoles({ readUptimeMs, warn }: ConsoleTools): ConsoleSet {
  const consoles = new ConsoleSet([], {
    readUptimeMs,
    onGone: (name, error) => warn(`console: "${name}" no longer accepts output: ${error.message}`),
  });
  // The log does not exist yet.
  openNewConsoles(consoles, (message) => setImmediate(() => warn(message)));
  if (consoles.names.length === 0) consoles.add(useDescriptor("stdout", process.stdout.fd));
  return consoles;
}

/** Some consoles appear with their driver, long after the kernel read its command line. */
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
  /** Opens kernel consoles that have appeared with their drivers. */
  findNew(): void;
  /** Applies the job's console settings. Returns at once; ports are opened when they appear. */
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

/** The kernel passes such parameters to init's environment, so people set them on the command line. */
function isColorless(line: string): boolean {
  return /(?:^|\s)(?:TERM=dumb|NO_COLOR=\S+)(?:\s|$)/.test(line);
}

async function addPort(
  port: SerialPortSettings,
  { consoles, log, lookForDevices }: JobConsoleTools,
): Promise<void> {
  const { device, baudRate } = port;
  try {
    // Adapters disconnect and come back, under the same name if the old device was closed.
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
