/**
 * A console as something that takes bytes: a terminal of the kernel's, or a file. Which ones the kernel was given, it says itself.
 */
import { closeSync, constants, openSync, readFileSync, write } from "node:fs";
import { basename } from "node:path";
import { drainTerminal } from "../../kernel/machine.ts";
import { readLineRate } from "../../kernel/terminal.ts";
import { CONSOLE_RETRY_MS } from "../limits.ts";

export interface ConsoleDevice {
  /** As in `console=`. */
  readonly name: string;
  /** What its line carries; absent where it has none. */
  readonly bytesPerSecond?: number;
  /** Calls back once all of it was taken; with an error when the device is gone. Not called again before that. */
  write(bytes: Buffer, done: (error?: Error) => void): void;
  /** Resolves when what was taken has left. */
  drain(): Promise<void>;
  close(): void;
}

/** Names in the order of the command line; the last one is /dev/console. */
export function listKernelConsoles(path = "/sys/class/tty/console/active"): string[] {
  try {
    return readFileSync(path, "utf8").split(/\s+/).filter(Boolean);
  } catch {
    return []; // not a machine of ours
  }
}

/** Its own description, so that not waiting for it is no business of whoever else has it open. */
export function openConsole(path: string): ConsoleDevice {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NOCTTY | constants.O_NONBLOCK);
  return { ...useDescriptor(basename(path), fd), close: () => closeSync(fd) };
}

/** A descriptor that is open already and that others share. */
export function useDescriptor(name: string, fd: number): ConsoleDevice {
  const bytesPerSecond = hasLine(name) ? findRate(fd) : undefined;
  return {
    name,
    bytesPerSecond,
    write: (bytes, done) => writeAll(fd, bytes, done),
    drain: () => drainTerminal(fd),
    close: () => {},
  };
}

/** Screens, consoles of hypervisors and pseudo-terminals have a speed in their settings as well, which nothing obeys. */
export function hasLine(name: string): boolean {
  return /^tty(?!\d|GS|null|printk)./.test(name);
}

function findRate(fd: number): number | undefined {
  try {
    return readLineRate(fd) || undefined;
  } catch {
    return undefined; // no terminal
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
