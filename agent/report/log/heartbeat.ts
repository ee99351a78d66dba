/**
 * Shows the keeper of the agent that the main loop turns: a number that grows, in a file of fixed size (initrd/files/run-agent).
 * A file system that is full must not make the agent look dead, so the file is written in place.
 */
import { openSync, writeSync } from "node:fs";
import { HEARTBEAT_MS } from "../limits.ts";

export function startHeartbeat(path: string): void {
  const fd = openSync(path, "w");
  let turns = 0;
  const show = () => writeSync(fd, `${String(turns++).padStart(12, "0")}\n`, 0);
  show();
  setInterval(show, HEARTBEAT_MS).unref();
}
