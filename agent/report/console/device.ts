/**
 * A console as a device that accepts bytes: one of the kernel's terminals, or a file.
 */
import { closeSync, constants, openSync, readFileSync, write } from "node:fs";
import { basename } from "node:path";
import { drainTerminal } from "../../kernel/machine.ts";
import { readLineRate } from "../../kernel/terminal.ts";
import { CONSOLE_RETRY_MS } from "../limits.ts";

export interface ConsoleDevice {
  /** As in `console=`. */
  readonly name: string;
  /** The rate of a serial line; undefined for other devices. */
  readonly bytesPerSecond?: number;
  /** Calls back once everything is written, with an error when the device has failed. Not called again before that. */
  write(bytes: Buffer, done: (error?: Error) => void): void;
  /** Resolves when what was written has been sent. */
  drain(): Promise<void>;
  close(): void;
}

/** In the order of the command line; the last one is /dev/console. */
export function listKernelConsoles(path = "/sys/class/tty/console/active"): string[] {
  try {
    return readFileSync(path, "utf8").split(/\s+/).filter(Boolean);
  } catch {
    return []; // not on a DUT
  }
}

/** Opens its own file description, because O_NONBLOCK would affect all users of a shared one. */
export function openConsole(path: string): ConsoleDevice {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
  return { ...useDescriptor(basename(path), fd), close: () => closeSync(fd) };
}

/** For a descriptor that is open already and stays open. */
export function useDescriptor(name: string, fd: number): ConsoleDevice {
  return {
    name,
    bytesPerSecond: hasLine(name) ? findRate(fd) : undefined,
    write: (bytes, done) => writeAll(fd, bytes, done),
    drain: () => drainTerminal(fd),
    close: () => {},
  };
}

/** Screens, consoles of hypervisors and pseudo-terminals have a speed setting without effect. */
export function hasLine(name: string): boolean {
  return /^tty(?!\d|GS|null|printk)./.test(name);
}

function findRate(fd: number): number | undefined {
  try {
    return readLineRate(fd) || undefined;
  } catch {
    return undefined; // not a terminal
  }
}

function writeAll(fd: number, bytes: Buffer, done: (error?: Error) => void): void {
  write(fd, bytes, (error, written) => {
    const isFull = error?.code === "EAGAIN" || error?.code === "EINTR";
    if (error && !isFull) return done(error);
    const rest = isFull ? bytes : bytes.subarray(written);
    if (rest.length === 0) return done();
    setTimeout(() => writeAll(fd, rest, done), CONSOLE_RETRY_MS);
  });
}
