/** The hostname of the machine. */
import { writeFileSync } from "node:fs";
import { setHostname } from "../../kernel/machine.ts";
import type { SysLog } from "../sys-log.ts";

/** Sets the name of the machine and of containers that share it. Failures are logged. */
export function nameMachine(hostname: string, log: SysLog, path = "/etc/hostname"): void {
  try {
    setHostname(hostname);
    writeFileSync(path, `${hostname}\n`);
  } catch (error) {
    log.warn(`machine: cannot set hostname "${hostname}": ${(error as Error).message}`);
  }
}
