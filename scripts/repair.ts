/**
 * `dutboot repair` completes a serial log with the numbered log that was sent over the network (docs/network-log.md).
 * It prints the log to standard output and a summary to standard error.
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, UsageError } from "./command.ts";
import { assembleBoots, readNetworkLines } from "./repair-log/read-network-log.ts";
import { type RepairReport, repairLog } from "./repair-log/repair-log.ts";

export const repairCommand: Command = {
  name: "repair",
  summary: "Repair a serial log with the numbered log that was sent over the network",
  operands: "SERIAL_LOG NETWORK_LOG…",
  options: {
    output: {
      type: "string",
      value: "FILE",
      help: "Write the repaired log to FILE (default: standard output)",
    },
  },
  notes: [
    "A NETWORK_LOG is what a receiver of dut.log stored: plain numbered lines, syslog messages, or a folder with parts of them.",
  ],
  examples: [
    "npx dutboot repair serial.log dut.log > whole.log",
    "npx dutboot repair --output whole.log serial.log parts/ /var/log/dut.syslog",
  ],
  async run(input) {
    const [serialPath, ...networkPaths] = input.operands;
    if (serialPath === undefined || networkPaths.length === 0)
      throw new UsageError("Cannot repair: expected a serial log and at least one network log");
    const serial = readFileSync(checkPath(serialPath));
    const files = networkPaths.flatMap((path) => listFiles(checkPath(path)));
    const boots = assembleBoots(files.flatMap((path) => [...readNetworkLines(readFileSync(path))]));
    if (boots.length === 0)
      throw new UsageError(
        `Cannot find a numbered line in ${networkPaths.join(", ")}: docs/network-log.md describes the format`,
      );
    const { lines, report } = repairLog(serial, boots);
    const log = Buffer.concat(lines.flatMap((line) => [line, LINE_END]));
    writeFileSync(input.text("output") ?? process.stdout.fd, log);
    console.error(formatReport(report));
    return 0;
  },
};

const LINE_END = Buffer.from("\n");

function checkPath(path: string): string {
  if (!existsSync(path)) throw new UsageError(`Cannot read "${path}": no such file`);
  return path;
}

function listFiles(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const entries = readdirSync(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

function formatReport({
  serialLines,
  networkLines,
  restored,
  damaged,
  notes,
  missing,
}: RepairReport): string {
  const lacks = missing === 0 ? "" : `; ${missing} lines are missing in the network log as well`;
  return `repair: restored ${restored} lines, replaced ${damaged} damaged lines and ${notes} notes; the serial log had ${serialLines} lines, the network log has ${networkLines}${lacks}`;
}
