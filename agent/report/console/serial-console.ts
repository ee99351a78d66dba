/**
 * A serial port as a console, opened by the serialport package: one that is not a console of the kernel, such as a USB adapter that
 * appears late or disconnects.
 */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { SERIAL_LOOK_MS, SERIAL_MODULES_MS, SERIAL_WAIT_MS } from "../limits.ts";
import type { ConsoleDevice } from "./device.ts";

export interface SerialConsoleOptions {
  baudRate: number;
  folder?: string;
  waitMs?: number;
  lookMs?: number;
  /** Loads drivers for new devices. */
  lookForDevices?: () => Promise<unknown>;
}

export interface SerialConsole extends ConsoleDevice {
  /** Resolves when the port disconnects, which a write would notice only later. */
  lost: Promise<unknown>;
}

/** Waits for the port; undefined when it does not appear in time. Rejects when it cannot be opened. */
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
  // Imported only by jobs that need it, because it loads a native module.
  const { SerialPort } = await import("serialport");
  // DTR is left as it is: dropping it resets some boards.
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
  // Input is dropped.
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
      // The port is raw: no terminal driver adds CR.
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
