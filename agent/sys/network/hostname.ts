/**
 * The machine's name, for itself and for the containers that share it. A name the kernel refuses is told and changes nothing.
 */
import { writeFileSync } from "node:fs";
import { setHostname } from "../../kernel/machine.ts";
import type { SysLog } from "../sys-log.ts";

export function nameMachine(hostname: string, log: SysLog, path = "/etc/hostname"): void {
  try {
    setHostname(hostname);
    writeFileSync(path, `${hostname}\n`);
  } catch (error) {
    log.warn(`machine: it cannot be called "${hostname}": ${(error as Error).message}`);
  }
}
