/**
 * Ends the machine: writes back disks, drains the UART, then powers off, reboots or halts. Both waits are limited, because a dead
 * server or a held serial line may block them.
 */
import { closeSync, constants, openSync } from "node:fs";
import { drainTerminal, reboot, syncAll } from "../../kernel/machine.ts";
import { SYNC_WAIT_MS, UART_DRAIN_MS } from "../limits.ts";
import { settlesWithin } from "../waits.ts";

const REBOOT_COMMAND = { poweroff: "poweroff", reboot: "restart", halt: "halt" } as const;

/** Returns only by throwing KernelError. */
export async function endMachine(mode: keyof typeof REBOOT_COMMAND): Promise<never> {
  await settlesWithin(syncAll(), SYNC_WAIT_MS);
  await settlesWithin(drainConsole(), UART_DRAIN_MS);
  reboot(REBOOT_COMMAND[mode]);
  // In a PID namespace reboot(2) returns before the kill arrives.
  return new Promise<never>(() => setInterval(() => {}, 1_000));
}

/** Waits until everything written to the console has left the UART. */
async function drainConsole(path = "/dev/console"): Promise<void> {
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_NOCTTY);
  } catch {
    return; // no console
  }
  try {
    await drainTerminal(fd);
  } catch {
    // ENOTTY: not a terminal.
  } finally {
    closeSync(fd);
  }
}
