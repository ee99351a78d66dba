/**
 * A serial port as a console, opened by the serialport package: one that the kernel was not given, perhaps an adapter that
 * appears late or goes away. Whoever waits for it is not held up.
 */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { SERIAL_LOOK_MS, SERIAL_MODULES_MS, SERIAL_WAIT_MS } from "../limits.ts";
import type { ConsoleDevice } from "./device.ts";

export interface SerialConsoleOptions {
  baudRate: number;
  /** The folder of the device. */
  folder?: string;
  waitMs?: number;
  lookMs?: number;
  /** Loads drivers of devices that have appeared. */
  lookForDevices?: () => Promise<unknown>;
}

export interface SerialConsole extends ConsoleDevice {
  /** Resolves when the port is gone; until the next write nobody else knows. */
  lost: Promise<unknown>;
}

/** Waits for the port; undefined when it has not appeared in time. Rejects with what opening it said. */
export async function awaitSerialConsole(
  name: string,
  options: SerialConsoleOptions,
): Promise<SerialConsole | undefined> {
  const { baudRate, folder = "/dev", waitMs = SERIAL_WAIT_MS, lookMs = SERIAL_LOOK_MS } = options;
  const path = `${folder}/${name}`;
  const startedAt = performance.now();
  let lookedAt = startedAt;
  while (!existsSync(path)) {
    const now = performance.now();
    if (now - startedAt > waitMs) return undefined;
    if (options.lookForDevices && now - lookedAt > SERIAL_MODULES_MS) {
      lookedAt = now;
      await options.lookForDevices();
    }
    await sleep(lookMs, undefined, { ref: false });
  }
  return openSerialConsole(name, path, baudRate);
}

async function openSerialConsole(name: string, path: string, baudRate: number): Promise<SerialConsole> {
  // Its native part is loaded where a job needs it, not in every boot.
  const { SerialPort } = await import("serialport");
  // The adapter's lines are left as they are: a dropped DTR resets some boards.
  const port = new SerialPort({ path, baudRate, autoOpen: false, lock: false, hupcl: false });
  await settle((done) => port.open(done));
  let pending: ((error?: Error) => void) | undefined;
  let lost: Error | undefined;
  const finish = (error?: Error) => {
    const done = pending;
    pending = undefined;
    done?.(error);
  };
  const lose = (error: Error | null) => {
    lost ??= error ?? new Error("the port was closed");
    finish(lost);
  };
  port.on("close", lose);
  port.on("error", lose);
  // Nobody reads what comes in; unread it would only fill up.
  port.resume();
  return {
    name,
    lost: new Promise((resolve) => {
      port.once("close", resolve);
    }),
    bytesPerSecond: baudRate / 10,
    write(bytes, done) {
      if (lost) return done(lost);
      pending = done;
      // The port is raw: no terminal adds the CR that moves the cursor back.
      port.write(addCarriageReturns(bytes), (error) => finish(error ?? undefined));
    },
    drain: () => settle((done) => port.drain(done)),
    close: () => {
      if (port.isOpen) port.close(() => {});
    },
  };
}

function settle(start: (done: (error?: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => (error ? reject(error) : resolve()));
  });
}

function addCarriageReturns(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString("latin1").replaceAll("\n", "\r\n"), "latin1");
}
