/**
 * The consoles of this boot: all that the kernel was given, found by itself, and those that the job adds.
 */
import { type ConsoleSet, createConsole } from "../report/console.ts";
import {
  type ConsoleDevice,
  listKernelConsoles,
  openConsole,
  useDescriptor,
} from "../report/console-device.ts";

export interface ConsoleTools {
  readUptimeMs: () => number;
  /** Not before the consoles are there. */
  warn: (message: string) => void;
}

/** Standard output, which init opened, is the console of a machine that names none. */
export function createKernelConsoles({ readUptimeMs, warn }: ConsoleTools): ConsoleSet {
  const devices: ConsoleDevice[] = [];
  for (const name of listKernelConsoles()) {
    try {
      devices.push(openConsole(`/dev/${name}`));
    } catch (error) {
      setImmediate(() => warn(`console: "${name}" cannot be used: ${(error as Error).message}`));
    }
  }
  if (devices.length === 0) devices.push(useDescriptor("stdout", process.stdout.fd));
  return createConsole(devices, {
    readUptimeMs,
    onGone: (name, error) => warn(`console: "${name}" takes nothing any more: ${error.message}`),
  });
}
