/**
 * Shows the supervisor (initrd/files/supervise-agent) that the main loop runs: a growing number in a file of fixed size, which is written in
 * place so that a full file system does not make the agent look dead.
 */
import { openSync, writeSync } from "node:fs";
import { HEARTBEAT_MS } from "../limits.ts";

export function startHeartbeat(path: string): void {
  const fd = openSync(path, "w");
  let beats = 0;
  const beat = () => writeSync(fd, `${String(beats++).padStart(12, "0")}\n`, 0);
  beat();
  setInterval(beat, HEARTBEAT_MS).unref();
}
